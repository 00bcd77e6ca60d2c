import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gonogo_recipes.maft import baselines
from gonogo_recipes.maft.batch import (
    COMBINATIONS,
    LABEL,
    SCORE,
    STREAMS,
    Stream,
    keep_only,
    mask_key,
    present,
    time_key,
)
from gonogo_recipes.maft.losses import compute_loss
from gonogo_recipes.maft.model import build_model

pytestmark = pytest.mark.requirement("MAFT-6.1")


def baseline(kind, settings):
    torch.manual_seed(0)
    return baselines.KINDS[kind](settings.model).double().eval()


def answers(model, batch):
    with torch.no_grad():
        found = model(batch)
    return torch.cat([found["logits"], found["regression"]], -1)


@pytest.fixture(params=baselines.KINDS)
def model(request, settings):
    return baseline(request.param, settings)


def test_outputs_are_those_of_maft(model, settings, batch):
    ours, theirs = model(batch), build_model(settings).double()(batch)
    assert set(ours) == set(theirs)
    for name in ("logits", "regression", *(f"logits_{stream}" for stream in STREAMS), "present", "dropped"):
        assert ours[name].shape == theirs[name].shape, name


def test_the_loss_of_maft_trains_every_parameter(model, settings, batch):
    total, terms = compute_loss(settings, model(batch), batch)
    total.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    assert terms["consistency"] == terms["reconstruction"] == 0


@pytest.mark.parametrize("kept", COMBINATIONS, ids="+".join)
def test_every_combination_of_streams_has_a_finite_answer(model, batch, kept):
    assert torch.isfinite(answers(model, keep_only(batch, kept))).all()


@pytest.mark.parametrize("poison", [float("nan"), 1e4])
def test_what_a_mask_hides_changes_nothing(model, batch, poison):
    hidden = dict(batch)
    for stream in STREAMS:
        mask = batch[mask_key(stream)]
        hidden[time_key(stream)] = torch.where(mask, batch[time_key(stream)], poison)
        if batch[stream].is_floating_point():
            hidden[stream] = torch.where(mask.unsqueeze(-1), batch[stream], poison)
    assert torch.equal(answers(model, hidden), answers(model, batch))


@pytest.mark.parametrize(("kind", "blind"), [("text-only", True), ("late-fusion", False), ("early-fusion", False)])
def test_text_alone_sees_the_text_alone(settings, batch, kind, blind):
    model, changed = baseline(kind, settings), {**batch, "audio": batch["audio"] + 1}
    assert torch.equal(answers(model, changed), answers(model, batch)) == blind


@pytest.mark.parametrize(("kind", "same"), [("early-fusion-aligned", True), ("early-fusion", False)])
def test_only_the_gift_of_alignment_goes_by_time(settings, batch, kind, same):
    model, turned = baseline(kind, settings), dict(batch)
    for key in ("audio", mask_key("audio"), time_key("audio")):  # the same frames at the same times, stored backwards
        turned[key] = batch[key].flip(1)
    assert torch.allclose(answers(model, turned), answers(model, batch), atol=1e-12) == same


times = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(times, times, st.data())
def test_the_nearest_valid_step_is_found(words, frames, data):
    mask = data.draw(st.lists(st.booleans(), min_size=len(frames), max_size=len(frames)).filter(any))
    other = Stream(torch.zeros(1, len(frames), 1), torch.tensor([mask]), torch.tensor([frames]), None)
    found = baselines.nearest(torch.tensor([words]), other)[0].tolist()
    valid = [index for index, kept in enumerate(mask) if kept]
    for word, place in zip(torch.tensor(words).tolist(), found, strict=True):
        distances = {index: abs(word - torch.tensor(frames[index]).item()) for index in valid}
        assert place in distances
        assert distances[place] <= min(distances.values()) + 1e-6


@pytest.mark.parametrize("kind", baselines.KINDS)
def test_a_baseline_is_as_large_as_maft_within_a_tenth(settings, kind):
    wanted = baselines.count(build_model(settings))
    assert baselines.count(baselines.matched(kind, settings)) == pytest.approx(wanted, rel=0.1)


def test_the_constant_answers_the_most_frequent_class_and_the_median(batch):
    labels, scores = torch.tensor([1, 1, 0]), torch.tensor([-2.0, 0.5, 3.0])
    found = baselines.Constant(labels, scores, 2)(batch)
    assert found["logits"].argmax(-1).tolist() == [1] * len(batch[LABEL])
    assert found["regression"].tolist() == [[0.5]] * len(batch[SCORE])
    assert torch.equal(found["present"], present(batch))
