"""What the taps tell, on tiny loops in this process; and that nothing of them is left behind."""

import copy
import os
import sys
from types import SimpleNamespace

import psutil
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from gonogo.watch.inside import Watch, record
from gonogo.watch.taps import optimizers
from gonogo.watch.taps.checkpoints import content


@pytest.fixture
def parts():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    return model, torch.optim.SGD(model.parameters(), lr=0.1), torch.randn(8, 3), torch.arange(8) % 2


def train(parts, steps=6, *, clear=True, between=lambda: None, after=lambda: None):
    model, optimizer, x, y = parts
    for _ in range(steps):
        if clear:
            optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        between()
        optimizer.step()
        after()


def test_everything_is_as_before_when_a_watch_is_over(parts):
    places = [(functional, "cross_entropy"), (torch.autograd, "backward"), (torch, "save"), (torch, "compile")]
    places += [(torch.nn.utils, "clip_grad_norm_"), (DataLoader, "__iter__"), (torch.optim.Optimizer, "zero_grad")]
    optimizers = sys.modules[torch.optim.Optimizer.__module__]
    before = [getattr(owner, name) for owner, name in places]
    record(lambda: train(parts))
    assert [getattr(owner, name) for owner, name in places] == before
    assert not torch.nn.modules.module._global_forward_hooks
    assert not optimizers._global_optimizer_post_hooks
    assert not optimizers._global_optimizer_pre_hooks


def test_a_watched_training_is_the_same_training_bit_for_bit(parts):
    twin = copy.deepcopy(parts[0])
    other = (twin, torch.optim.SGD(twin.parameters(), lr=0.1), *parts[2:])
    torch.manual_seed(1)
    train(other, 12)
    torch.manual_seed(1)
    record(lambda: train(parts, 12))
    assert all(torch.equal(a, b) for a, b in zip(parts[0].parameters(), twin.parameters(), strict=True))


@pytest.mark.parametrize(("clear", "carried"), [(True, 0), (False, 3)])
def test_a_gradient_that_is_left_over_is_seen_on_the_numbers(parts, clear, carried):
    events = record(lambda: train(parts, clear=clear)).of("carried")
    assert len(events) == 4
    assert {event["carried"] for event in events} == {carried}


def test_a_gradient_that_is_cleared_by_hand_is_not_left_over(parts):
    def by_hand():
        for parameter in parts[0].parameters():
            parameter.grad.zero_()

    events = record(lambda: train(parts, clear=False, after=by_hand)).of("carried")
    assert {event["carried"] for event in events} == {0}


def test_a_leftover_that_is_replaced_by_hand_is_in_no_update(parts):
    def by_hand():
        for parameter in parts[0].parameters():
            parameter.grad = -parameter.grad

    events = record(lambda: train(parts, clear=False, between=by_hand)).of("carried")
    assert {event["carried"] for event in events} == {0}


def test_clipping_between_backward_and_step_does_not_look_like_a_leftover(parts):
    def clip():
        nn.utils.clip_grad_norm_(parts[0].parameters(), 0.01)

    assert {e["carried"] for e in record(lambda: train(parts, between=clip)).of("carried")} == {0}
    assert {e["carried"] for e in record(lambda: train(parts, clear=False, between=clip)).of("carried")} == {3}


def test_the_order_of_a_step_is_told(parts):
    recording = record(lambda: train(parts, 1))
    assert [e["kind"] for e in recording.events if e["kind"] in ("zero", "call", "loss", "backward", "step")] == [
        "zero",
        "call",
        "loss",
        "backward",
        "step",
    ]


def test_passes_are_told_with_their_ends(parts):
    _model, _optimizer, x, y = parts
    loader = DataLoader(TensorDataset(x, y), 2)

    def loop():
        for _ in loader:
            pass
        for _ in loader:
            break

    ends = record(loop).of("pass")
    assert [(end["batches"], end["complete"], end["ascending"]) for end in ends] == [(4, True, True), (1, False, True)]


@pytest.mark.parametrize(("scores", "simplex"), [("softmax", True), ("raw", False)])
def test_probabilities_are_told_from_scores(parts, scores, simplex):
    model, _, x, y = parts

    def loop():
        out = model(x)
        functional.cross_entropy(out.softmax(1) if scores == "softmax" else out, y)

    assert record(loop).of("loss")[0]["simplex"] is simplex


def test_the_operation_that_made_the_scores_is_found_behind_reshaping(parts):
    model, _, x, y = parts
    recording = record(
        lambda: functional.binary_cross_entropy_with_logits(model(x)[:, :1].sigmoid().squeeze(1), y.float())
    )
    assert recording.of("loss")[0]["made_by"] == "SigmoidBackward0"


def test_transforms_and_loss_modules_are_no_models_and_crowd_none_out(parts):
    class Noisy(nn.Module):
        def forward(self, x):
            return x + 1

    class Pictures(TensorDataset):
        def __getitem__(self, index):
            return noisy(self.tensors[0][index]), self.tensors[1][index]

    model, _, x, y = parts
    noisy = Noisy()

    def loop():
        train(parts, 1)
        for _ in range(3):
            for a, b in DataLoader(Pictures(x.repeat(40, 1), y.repeat(40)), 160):
                nn.CrossEntropyLoss()(model.eval()(a), b)

    calls = record(loop).of("call")
    assert [event["training"] for event in calls] == [True] + [False] * 6


def test_each_pass_over_data_is_told_however_much_came_before(parts):
    model, _, x, y = parts

    def loop():
        train(parts, 1)
        for _ in range(300):
            model(x)
        for a, _ in DataLoader(TensorDataset(x, y), 4):
            model.eval()(a)

    assert [event["training"] for event in record(loop).of("call")].count(False) == 2


def test_losses_that_are_added_up_as_tensors_keep_their_graphs(parts):
    model, _optimizer, x, y = parts
    total = torch.zeros(())

    def loop(detach):
        nonlocal total
        for _ in range(5):
            loss = functional.cross_entropy(model(x), y)
            loss.backward()
            total = total + (loss.detach() if detach else loss)

    assert record(lambda: loop(detach=True)).of("backward")[-1]["graphs"] <= 1
    assert record(lambda: loop(detach=False)).of("backward")[-1]["graphs"] == 4


@pytest.mark.parametrize(("copied", "told"), [(True, 0), (False, 1)])
def test_weights_that_are_kept_by_reference_are_found_by_their_memory(parts, copied, told):
    model, _optimizer, x, _y = parts

    def loop():
        for _ in range(3):
            train(parts, 2)
            with torch.no_grad():
                model(x)
            best_state = copy.deepcopy(model.state_dict()) if copied else model.state_dict()
        return best_state

    assert len(record(loop).of("best")) == told


@pytest.mark.parametrize(("trained", "told"), [(True, 0), (False, 1)])
def test_the_best_of_several_models_in_training_may_be_named(parts, trained, told):
    model, _optimizer, x, _y = parts
    twin = copy.deepcopy(model)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1) if trained else parts[1]

    def loop():
        for _ in range(3):
            train(parts, 2)
            train((twin, optimizer, *parts[2:]), 2)
            with torch.no_grad():
                model(x), twin(x)
            best_model = model
        return best_model

    assert len(record(loop).of("best")) == told


def test_a_state_dict_without_a_tensor_is_told_from_other_files(parts, tmp_path):
    class Listed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [parts[0]]

    def save():
        for thing in (Listed().state_dict(), parts[0].state_dict(), {}):
            torch.save(thing, tmp_path / "file.pt")

    assert [event["holds"] for event in record(save).of("save")] == ["no weights", "weights", "mapping"]


def test_the_states_of_several_optimizers_are_told_from_other_lists():
    state = torch.optim.SGD([torch.zeros(1)], 0.1).state_dict()
    several = {"a": [state, state], "b": {"generator": state, "critic": state}, "c": [state, 1], "d": []}
    assert [content(one) for one in several.values()] == ["optimizer", "optimizer", "list", "list"]


def test_numbers_in_the_parts_of_a_checkpoint_are_told(parts, tmp_path):
    loop = {"iteration": 3, "name": "train"}
    saved = record(lambda: torch.save({"model": parts[0].state_dict(), "loop": loop}, tmp_path / "file.pt")).of("save")
    assert saved[0]["entries"] == {"model": "weights", "loop": "mapping", "loop.iteration": "int"}


@pytest.mark.parametrize(
    ("weigh", "told"), [(lambda loss: loss, True), (lambda loss: loss.detach(), True), (torch.ones_like, False)]
)
def test_a_loss_that_weighs_itself_is_told_from_one_that_is_weighed(parts, weigh, told):
    def loop():
        loss = parts[0](parts[2]).sum()
        loss.backward(weigh(loss))

    assert [event["times_itself"] for event in record(loop).of("backward")] == [told]


def test_a_file_from_before_that_is_written_over_is_told(parts, tmp_path):
    old, new = tmp_path / "old.pt", tmp_path / "new.pt"
    old.touch()
    os.utime(old, (0, 0))

    def save():
        for file in (old, new, new):
            torch.save(obj=parts[0].state_dict(), f=file)

    assert [event.get("over") for event in record(save).of("save")] == [str(old), None, None]


@pytest.mark.parametrize("turns", [2, 3, 5, 10])
def test_of_optimizers_that_take_turns_each_is_looked_at(parts, turns):
    model, _, x, y = parts
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for _ in range(turns)]

    def loop():
        for step in range(150):
            train((model, optimizers[step % turns], x, y), 1)

    looked = [event["optimizer"] for event in record(loop).of("step") if "bad_gradients" in event]
    assert len(looked) == 5 + 14
    assert set(looked) == set(range(turns))


def test_the_watchs_own_mistakes_are_told_and_do_not_reach_the_script(parts, monkeypatch):
    def fail(*_):
        raise RuntimeError("mine")

    monkeypatch.setattr("gonogo.watch.taps.losses.made_by", fail)
    recording = record(lambda: train(parts))
    assert recording.steps == 6
    assert [event["error"] for event in recording.of("mistake")] == ["RuntimeError: mine"]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_a_scripted_model_can_still_be_compiled(parts):
    class WithLoss(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return functional.cross_entropy(x, y)

    with Watch():
        scripted = torch.jit.script(WithLoss())
        assert float(scripted(torch.zeros(2, 2), torch.tensor([0, 1]))) == pytest.approx(0.6931, abs=1e-4)


@pytest.mark.slow
def test_a_compiled_model_has_one_graph_under_watch(parts):
    model, _, x, y = parts
    with Watch() as watch:
        compiled = torch.compile(lambda a, b: functional.cross_entropy(model(a), b), backend="eager", fullgraph=True)
        compiled(x, y).backward()
    assert len(watch.recording.of("backward")) == 1


def test_an_optimizer_that_steps_to_draw_a_schedule_trains_nothing(parts):
    drawn = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)

    def loop():
        for _ in range(5):
            drawn.step()
        train(parts, 4)

    recording = record(loop)
    assert (recording.steps, len(recording.of("idle"))) == (4, 5)


def test_a_step_without_backward_is_a_step_if_the_model_ran(parts):
    model, optimizer, x, _ = parts

    def loop():
        for _ in range(4):
            model(x)
            optimizer.step()

    assert record(loop).steps == 4


def test_the_memory_is_that_of_the_process_that_asks(monkeypatch):
    first = optimizers.resident()
    child = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=7))
    monkeypatch.setattr(psutil, "Process", lambda: child)  # as in a forked child
    assert optimizers.resident() == {**first, "resident": 7}
