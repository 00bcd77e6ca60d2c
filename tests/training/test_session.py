import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gonogo.core.capability import Capability
from gonogo.errors import CheckError, NotApplicable, SubjectError
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject

DATA = TensorDataset(torch.arange(24.0).reshape(12, 2))


def shuffled():
    return DataLoader(DATA, batch_size=3, shuffle=True)


def squares(model, batch):
    return model(batch[0]).square()


@pytest.fixture
def make():
    """make(**parts) -> Session of a small regression."""

    def session(*, needs=None, seed=0, **parts):
        plain = {
            "model": lambda: nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 1)),
            "loss": squares,
            "optimizer": lambda model: torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9),
            "splits": {"train": shuffled},
        }
        return Session(Subject("x", **{**plain, **parts}), needs=needs, seed=seed)

    return session


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


USES = {
    "model": lambda session: session.model,
    "optimizer": lambda session: session.optimizer,
    "loss": lambda session: session.loss([torch.ones(1, 2)], nn.Linear(2, 1)),
    "train": lambda session: session.batches("train", limit=1),
    "valid": lambda session: session.split("valid"),
}


@pytest.mark.parametrize("name", USES)
def test_use_of_what_a_check_did_not_declare_is_refused_with_the_need_to_add(make, name):
    with pytest.raises(CheckError, match=rf"uses '{name}' without declaring it; add Capability\.{name.upper()}"):
        USES[name](make(needs=[]))


def test_a_narrowed_session_has_its_own_needs_and_the_same_model(make):
    session = make()
    view = session.narrowed([Capability.MODEL], 5)
    assert session.model is session.narrowed([Capability.MODEL], 5).model
    assert 0 < view.seconds_left <= 5
    with pytest.raises(CheckError):
        view.batches(limit=1)
    assert session.batches(limit=1)


def test_a_fresh_session_has_another_model_with_the_same_weights_and_batches(make):
    session = make()
    fresh = session.fresh(session.needs, 5)
    assert fresh.model is not session.model
    assert torch.equal(weights(fresh.model), weights(session.model))
    assert torch.equal(fresh.batches(limit=1)[0][0], session.batches(limit=1)[0][0])


def test_batches_are_the_same_at_every_call(make):
    session = make()
    [first], again = session.batches(limit=1), session.batches(limit=3)
    assert torch.equal(first[0], again[0][0])
    assert len(again) == 3


def test_batches_are_the_same_in_every_session_of_a_seed_and_others_under_another(make):
    first, same, other = (make(seed=seed).batches(limit=1)[0][0] for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_batches_stay_even_if_the_loader_shuffles_by_a_generator_of_its_own(make):
    generator = torch.Generator()
    session = make(splits={"train": lambda: DataLoader(DATA, 3, shuffle=True, generator=generator)})
    [first], again = session.batches(limit=1), session.batches(limit=3)
    assert torch.equal(first[0], again[0][0])
    assert len(again) == 3


def test_batches_are_private_copies(make):
    session = make(splits={"train": [[DATA.tensors[0]]]})
    session.batches(limit=1)[0][0].fill_(-1)
    assert torch.equal(session.batches(limit=1)[0][0], DATA.tensors[0])
    assert float(DATA.tensors[0].min()) == 0


def test_fewer_batches_than_asked_for_are_all_that_there_are(make):
    assert len(make().batches(limit=100)) == 4


def test_an_empty_split_says_so(make):
    with pytest.raises(SubjectError, match="'train' has no batch; check its data set, batch size and drop_last"):
        make(splits={"train": list}).batches(limit=1)


def test_a_split_that_builds_no_iterable_says_so(make):
    with pytest.raises(SubjectError, match=r"splits\['train'\] built int; expected an iterable"):
        make(splits={"train": lambda: 3}).batches(limit=1)


def test_a_split_that_is_not_there_does_not_apply(make):
    with pytest.raises(NotApplicable, match="no split 'test'"):
        make().split("test")


def test_every_built_model_has_the_same_weights(make):
    session = make()
    assert torch.equal(weights(session.build_model()), weights(session.build_model()))
    assert not torch.equal(weights(session.model), weights(make(seed=1).model))


def test_a_factory_that_returns_the_same_object_twice_is_refused(make):
    model = nn.Linear(2, 1)
    session = make(model=lambda: model)
    assert session.model is model
    with pytest.raises(SubjectError, match="the same object twice; make it build a new model"):
        session.build_model()


@pytest.mark.parametrize(
    ("parts", "use", "words"),
    [
        ({"model": lambda: 3}, lambda s: s.model, r"model\(\) returned int; expected a torch\.nn\.Module"),
        ({"optimizer": lambda m: 3}, lambda s: s.optimizer, "returned int; expected a torch.optim.Optimizer"),
        ({"loss": lambda m, b: 3.0}, lambda s: s.loss(None), "loss returned float; expected a tensor"),
        ({"loss": lambda m, b: None}, lambda s: s.step(None), "loss returned NoneType; expected a tensor"),
        ({"step": lambda m, o, b: None}, lambda s: s.step(None), "step returned NoneType; expected the loss"),
        ({"step": lambda m, o, b: torch.ones(2)}, lambda s: s.step(None), "step returned Tensor; expected the loss"),
    ],
)
def test_a_part_that_returns_something_else_is_refused_in_words(make, parts, use, words):
    with pytest.raises(SubjectError, match=words):
        use(make(**parts))


def test_a_loss_per_sample_is_averaged(make):
    session = make(loss=lambda model, batch: torch.tensor([1.0, 3.0]))
    assert float(session.loss(None)) == 2


def test_a_step_trains_and_returns_the_loss_before_it(make):
    session = make()
    session.model.eval()  # no dropout
    [batch], before = session.batches(limit=1), weights(session.model)
    expected = float(session.loss(batch).detach())
    assert session.step(batch) == pytest.approx(expected)
    assert not torch.equal(weights(session.model), before)
    assert float(session.loss(batch).detach()) < expected


def test_the_gradients_of_one_step_do_not_reach_the_next(make):
    session = make(loss=lambda model, batch: model[0].weight.sum())
    for _ in range(2):
        session.step(None)
    assert float(session.model[0].weight.grad.max()) == 1


def test_a_loss_without_gradient_is_for_checks_to_find(make):
    session = make(loss=lambda model, batch: torch.tensor(1.5))
    assert session.step(None) == 1.5


def test_the_step_of_the_run_is_used_where_it_is_given(make):
    session = make(step=lambda model, optimizer, batch: model[0].weight.sum())
    assert session.step(None) == float(session.model[0].weight.detach().sum())


def test_outputs_come_from_predict_or_are_seen_during_the_loss(make):
    session = make(predict=lambda model, batch: {"a": torch.ones(1), "index": torch.tensor([1])})
    assert list(session.outputs(None)) == ["a"]
    [batch] = make().batches(limit=1)
    [output] = make().outputs(batch).values()
    assert output.shape == (3, 1)


def test_looking_at_outputs_leaves_no_hook(make):
    session = make()
    session.outputs(session.batches(limit=1)[0])
    assert not session.model._forward_hooks


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"loss": lambda model, batch: torch.tensor(1.0)}, "does not call the model's forward"),
        ({"predict": lambda model, batch: "text"}, "no floating-point output"),
    ],
)
def test_without_outputs_the_question_does_not_apply(make, parts, words):
    with pytest.raises(NotApplicable, match=words):
        make(**parts).outputs(None)


def test_evaluation_restores_the_own_mode_of_each_module(make):
    model = make().model
    model[1].eval()
    with evaluating(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == [True, True, False, True]


def test_modes_are_restored_after_an_error(make):
    model = make().model
    with pytest.raises(ValueError, match="x"), evaluating(model):
        raise ValueError("x")
    assert model[1].training


def test_a_checkpoint_brings_back_model_and_optimizer(make, tmp_path):
    session = make()
    session.step(session.batches(limit=1)[0])
    model, optimizer = session.load(session.save(session.model, session.optimizer, tmp_path))
    assert model is not session.model
    assert torch.equal(weights(model), weights(session.model))
    old, new = (list(o.state_dict()["state"].values()) for o in (session.optimizer, optimizer))
    assert torch.equal(new[0]["momentum_buffer"], old[0]["momentum_buffer"])
    assert optimizer.param_groups[0]["params"][0] is model[0].weight


def test_the_checkpoint_of_the_run_is_used_where_both_functions_are_given(make, tmp_path):
    calls = []
    own = {
        "save": lambda path, model, optimizer: calls.append("save"),
        "load": lambda path, model, optimizer: calls.append("load"),
    }
    session = make(**own)
    session.load(session.save(session.model, session.optimizer, tmp_path))
    assert calls == ["save", "load"]


def test_a_copy_of_the_model_is_private_and_may_have_another_precision(make):
    session = make()
    copy = session.copy_model(torch.float64)
    nn.init.zeros_(copy[0].weight)
    assert copy[0].weight.dtype is torch.float64
    assert session.model[0].weight.dtype is torch.float32
    assert float(session.model[0].weight.detach().abs().sum()) > 0


def test_a_model_that_cannot_be_copied_is_built_again(make):
    session = make()
    session.step(session.batches(limit=1)[0])
    session.model.stuck = session.model[0].weight * 2  # not a leaf: deepcopy refuses it
    assert torch.equal(weights(session.copy_model()), weights(session.model))


def test_the_fingerprint_of_a_session_sees_its_model(make):
    session = make()
    assert not any(name.startswith("weight") for name in session.fingerprint())
    assert session.model is not None
    assert "weight 0.weight" in session.fingerprint()


def test_lazy_layers_learn_their_sizes_from_the_first_batch_the_same_ones_each_time(make):
    session = make(model=lambda: nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d(), nn.Linear(4, 1)))
    one, other = session.build_model(), session.build_model()
    assert one[0].weight.shape == (4, 2)
    assert torch.equal(weights(one), weights(other))


class Secretive(nn.Linear):
    def __deepcopy__(self, memo):
        raise ValueError("not to be copied")


def test_a_model_that_refuses_to_be_copied_is_built_again(make):
    session = make(model=lambda: Secretive(2, 1))
    copied = session.copy_model()
    assert copied is not session.model
    assert torch.equal(weights(copied), weights(session.model))


def test_a_schedule_of_a_short_run_keeps_its_last_rate_when_a_check_goes_on(make):
    built = []

    def step(model, optimizer, batch):
        if not built:
            built.append(torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=3))
        optimizer.step()
        built[0].step()
        return 0.0

    session = make(step=step)
    for _ in range(6):
        session.step(None)
    assert session.optimizer.param_groups[0]["lr"] < 1e-6


def test_a_loss_that_differentiates_its_answers_has_a_value_without_gradients_too(make):
    def penalty(model, batch):
        inputs = batch[0].requires_grad_()
        answers = model(inputs).sum()
        return torch.autograd.grad(answers, inputs, create_graph=True)[0].square().sum()

    session = make(loss=penalty)
    with torch.no_grad():
        value = session.loss([torch.ones(1, 2)], nn.Linear(2, 1))
    assert value > 0
    assert not value.requires_grad
