import pytest
import torch
from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.errors import SubjectError
from gonogo.training.claims import Claims
from gonogo.training.session import Session
from gonogo.training.subject import Split, Subject, refuse_unknown


def loader():
    """One batch."""
    return [torch.ones(2, 3)]


def linear():
    """A new layer."""
    return nn.Linear(3, 1)


def test_a_live_model_is_refused_with_the_way_out():
    with pytest.raises(SubjectError, match=r"model: a live Linear was given; .*`model=lambda: Net\(\)`"):
        Subject("x", model=linear())


@pytest.mark.parametrize("part", ["loss", "optimizer", "step", "evaluate", "schedule", "save", "load", "predict"])
def test_a_part_that_is_no_function_is_refused(part):
    with pytest.raises(SubjectError, match=f"{part}: int was given; expected a function"):
        Subject("x", **{part: 3})


@pytest.mark.parametrize(
    ("given", "name"), [("val", "valid"), ("validation", "valid"), ("dev", "valid"), ("training", "train")]
)
def test_the_usual_names_of_splits_are_understood(given, name):
    assert list(Subject("x", splits={given: loader}).splits) == [name]


def test_any_other_name_of_a_split_is_kept():
    assert list(Subject("x", splits={"test": loader, "train": loader}).splits) == ["test", "train"]


@pytest.mark.parametrize("given", [loader, Split(loader), loader()])
def test_a_split_is_a_function_a_description_or_a_loader(given):
    [batch] = Subject("x", splits={"train": given}).splits["train"].batches()
    assert torch.equal(batch, torch.ones(2, 3))


@pytest.mark.parametrize("given", [3, None, iter([1])])
def test_a_split_that_can_be_read_only_once_or_not_at_all_is_refused(given):
    with pytest.raises(SubjectError, match=r"splits\['train'\]: .* expected a function that builds a loader"):
        Subject("x", splits={"train": given})


@pytest.mark.parametrize(
    ("parts", "capability"),
    [
        ({"model": linear}, C.MODEL),
        ({"loss": lambda model, batch: 0}, C.LOSS),
        ({"optimizer": lambda model: 0}, C.OPTIMIZER),
        ({"config": {"lr": 1}}, C.CONFIG),
        ({"splits": {"train": loader}}, C.TRAIN),
        ({"splits": {"val": loader}}, C.VALID),
        ({"claims": Claims(parameters="1B")}, C.PARAMETER_CLAIM),
        ({"claims": Claims(group_key="speaker")}, C.GROUPS),
    ],
)
def test_each_part_provides_its_capability(parts, capability):
    assert Subject("x", **parts).provides() == {capability}


def test_groups_of_a_split_provide_groups():
    assert C.GROUPS in Subject("x", splits={"train": Split(loader, groups=lambda: ["a"])}).provides()


def test_an_empty_subject_provides_nothing():
    assert Subject("x").provides() == frozenset()


def test_changes_make_copies_and_leave_the_original_alone():
    plain = Subject("x", model=linear, loss=lambda model, batch: model(batch).sum(), splits={"train": loader})
    changed = plain.map_model(lambda model: nn.Sequential(model))
    assert (type(changed.model()), type(plain.model())) == (nn.Sequential, nn.Linear)


def test_a_changed_split_yields_other_batches():
    plain = Subject("x", splits={"train": loader})
    doubled = plain.map_split("train", lambda split: split.map(lambda batches: (2 * batch for batch in batches)))
    assert float(next(iter(doubled.splits["train"].batches())).sum()) == 12
    assert float(next(iter(plain.splits["train"].batches())).sum()) == 6


def test_an_unknown_split_is_refused_with_those_that_there_are():
    with pytest.raises(SubjectError, match="x has no split 'valid'; it has: train"):
        Subject("x", splits={"train": loader}).map_split("valid", lambda split: split)


def test_changed_outputs_are_what_the_model_returns():
    zero = Subject("x", model=linear).map_outputs(lambda output: output * 0)
    assert zero.model()(torch.ones(1, 3)).item() == 0


@pytest.mark.parametrize("part", ["model", "loss", "optimizer"])
def test_a_part_that_is_missing_cannot_be_changed(part):
    with pytest.raises(SubjectError, match=f"x has no {part}"):
        getattr(Subject("x"), f"map_{part}")(lambda given: given)


def test_claims_are_changed_one_by_one():
    claims = Subject("x", claims=Claims(classes=3)).with_claims(target="label").claims
    assert (claims.classes, claims.target) == (3, "label")


def test_an_unknown_field_names_the_nearest():
    refuse_unknown(["model", "loss"])
    with pytest.raises(SubjectError, match=r"Subject has no field 'optimiser'.* Did you mean 'optimizer'"):
        refuse_unknown(["optimiser"])


def test_a_config_may_be_empty_and_is_then_not_provided():
    assert Session(Subject("x", config={})).needs == frozenset()


def test_a_misspelt_part_is_refused_with_the_nearest():
    with pytest.raises(SubjectError, match="Did you mean 'model'"):
        Subject("x", modell=linear)  # type: ignore[call-arg]


@pytest.mark.parametrize("field", [{"name": 3}, {"splits": [1]}, {"claims": {"classes": 3}}, {"config": 42}])
def test_a_part_of_the_wrong_kind_is_refused_before_anything_is_measured(field):
    with pytest.raises(SubjectError, match="was given; expected"):
        Subject(**{"name": "x", **field})
