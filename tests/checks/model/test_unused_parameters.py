"""Parameters that nothing uses, and parameters that some batches use."""

import importlib
import sys

import pytest
import torch
from torch import nn

from gonogo.checks.model.unused_parameters import unused_parameters
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

GENERATOR = torch.Generator().manual_seed(4)
BATCHES = [(torch.randn(8, 6, generator=GENERATOR), index) for index in range(12)]


def status(model, loss=lambda model, batch: model(batch).square().mean(), **more):
    optimizer = lambda model: torch.optim.SGD(model.parameters(), lr=0.01)  # noqa: E731
    subject = Subject("by hand", model=model, loss=loss, optimizer=optimizer, splits={"train": BATCHES}, **more)
    return answer(unused_parameters.check, subject).status


class Ways(nn.Module):
    """Several layers, one of which a batch or a sample takes."""

    def __init__(self, choose, count=4):
        super().__init__()
        self.choose, self.ways = choose, nn.ModuleList(nn.Linear(6, 1) for _ in range(count))

    def forward(self, batch):
        x, index = batch
        chosen = self.choose(x, index)
        return torch.cat([way(x[chosen == number]) for number, way in enumerate(self.ways)])


def by_sample(x, index):
    return (3 * x[:, 0]).clamp(0, 3).long()


def in_turn(x, index):
    return torch.full((len(x),), index // 3)


def rarely(x, index):
    return torch.full((len(x),), index % 3)


def always_the_first(x, index):
    return torch.zeros(len(x), dtype=torch.long)


@pytest.mark.parametrize("choose", [by_sample, in_turn, rarely])
def test_experts_and_tasks_that_wait_for_their_turn_are_used(choose):
    assert status(lambda: Ways(choose)) is Status.PASS


def test_a_router_that_always_takes_the_same_way_is_noticed():
    assert status(lambda: Ways(always_the_first)) is Status.WARN


class Task(nn.Module):
    """A second head that only each tenth batch asks for."""

    def __init__(self, every):
        super().__init__()
        self.every, self.main, self.extra = every, nn.Linear(6, 1), nn.Linear(6, 1)

    def forward(self, batch):
        x, index = batch
        return self.main(x) + self.extra(x) if index % self.every == self.every - 1 else self.main(x)


@pytest.mark.parametrize(("every", "expected"), [(10, Status.PASS), (1000, Status.FAIL)])
def test_a_head_for_some_batches_is_used_and_one_for_none_is_not(every, expected):
    assert status(lambda: Task(every)) is expected


def test_a_bias_that_a_difference_cancels_is_no_finding():
    distance = lambda model, batch: (model(batch[0]) - model(batch[0].flip(0))).square().mean()  # noqa: E731
    assert status(lambda: nn.Linear(6, 4), distance) is Status.PASS


def test_an_update_after_several_batches_is_waited_for():
    calls = []

    def step(model, optimizer, batch):
        calls.append(model(batch[0]).square().mean())
        calls[-1].backward()
        if len(calls) % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return calls[-1].item()

    for claims in (Claims(), Claims(accumulation=4)):
        assert status(lambda: nn.Linear(6, 1), lambda m, b: m(b[0]).sum(), step=step, claims=claims) is Status.PASS


class Energy(nn.Module):
    def __init__(self, *, shift=False):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.Softplus(), nn.Linear(8, 1))
        self.shift = nn.Parameter(torch.zeros(1)) if shift else 0.0

    def forward(self, batch):
        return self.body(batch[0]).squeeze(-1) + self.shift


def force(model, batch, *, create_graph=True):
    x = batch[0].detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model((x, batch[1])).sum(), x, create_graph=create_graph)
    return (gradient + x).square().mean()


def test_the_constant_of_an_energy_is_removed_by_its_differentiation():
    assert status(Energy, force) is Status.PASS
    assert status(lambda: Energy(shift=True), force) is Status.WARN


def test_a_derivative_that_is_cut_from_the_graph_removes_no_constant():
    def loss(model, batch):
        return force(model, batch, create_graph=False) + model.body[0].weight.square().mean()

    assert status(Energy, loss) is Status.FAIL


LIBRARY = """
import torch
from torch import nn

class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.body, self.pooler = nn.Linear(6, 6), nn.Linear(6, 4), nn.Sequential(nn.Linear(4, 4))

    def forward(self, x):
        last = self.body(self.embed(x))
        return last, self.pooler(last)
"""


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    """A class that lies where packages are installed."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "some_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(folder)
    yield importlib.import_module("some_library").Encoder
    del sys.modules["some_library"]


class Net(nn.Module):
    """Somebody's model around it."""

    def __init__(self, encoder, use):
        super().__init__()
        self.encoder, self.head, self.use = encoder(), nn.Linear(4, 1), use

    def forward(self, x):
        return self.head(self.use(self.encoder, x))


def cut(encoder, x):
    with torch.no_grad():
        x = encoder.embed(x)
    return encoder.body(x)


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (lambda encoder, x: encoder(x)[0], Status.WARN),  # the pooler is not used
        (lambda encoder, x: encoder(x)[0] + encoder(x)[1].detach(), Status.FAIL),  # it is, without gradient
        (cut, Status.FAIL),
        (lambda encoder, x: x[:, :4], Status.FAIL),  # the whole encoder is somebody's attribute
    ],
)
def test_only_what_a_library_put_there_and_the_loss_has_no_use_for_is_optional(encoder, use, expected):
    loss = lambda model, batch: model(batch[0]).square().mean()  # noqa: E731
    assert status(lambda: Net(encoder, use), loss) is expected


def test_ones_own_layer_that_is_never_called_is_a_mistake(encoder):
    class Own(encoder):
        def __init__(self):
            super().__init__()
            self.forgotten = nn.Linear(4, 4)

    assert status(lambda: Net(Own, lambda one, x: sum(one(x))), lambda m, batch: m(batch[0]).mean()) is Status.FAIL
