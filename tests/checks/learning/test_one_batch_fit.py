"""A loss that dice, a queue or a teacher move is compared with that of the first weights under the same ones."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.checks.learning.one_batch_fit import one_batch_fit
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

BATCHES = [torch.randn(16, 6, generator=torch.Generator().manual_seed(place)) for place in range(3)]


class Queue(nn.Module):
    """Answers are told apart from those of a queue, which the step fills with the batch itself."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(6, 4)
        self.register_buffer("queue", functional.normalize(torch.randn(16, 4), dim=1))

    def forward(self, x: Tensor) -> Tensor:
        return functional.normalize(self.body(x), dim=1)


def contrast(model: Any, x: Tensor) -> Tensor:
    own = model(x)
    scores = torch.cat([(own * own.detach()).sum(1, keepdim=True), own @ model.queue.T], 1) / 0.2
    return functional.cross_entropy(scores, torch.zeros(len(x), dtype=torch.long))


def noise_prediction(model: nn.Module, x: Tensor) -> Tensor:
    noise = torch.randn_like(x)
    return (model(3 * x + noise) - noise).square().mean()


def cut(model: nn.Module, x: Tensor) -> Tensor:
    return (functional.dropout(model(x), 0.02, model.training).detach().requires_grad_() - x).square().mean()


def step(loss: Any, *, fill: bool = False) -> Any:
    def one(model: Any, optimizer: Any, x: Tensor) -> float:
        optimizer.zero_grad()
        value = loss(model.train(), x)
        value.backward()
        optimizer.step()
        if fill:
            model.queue.copy_(model(x).detach())
        return float(value)

    return one


def status(model: Any, loss: Any, *, fill: bool = False, lr: float = 0.01) -> Status:
    optimizer = lambda model: torch.optim.SGD(model.parameters(), lr=lr)  # noqa: E731
    own = step(loss, fill=fill)
    given = Subject("by hand", model=model, loss=loss, optimizer=optimizer, step=own, splits={"train": BATCHES})
    return answer(one_batch_fit.check, given).status  # type: ignore[attr-defined]


def test_a_queue_that_fills_with_the_batch_itself_is_no_failure_to_fit():
    assert status(Queue, contrast, fill=True) in (Status.PASS, Status.SKIP)


def test_the_share_of_noise_that_nobody_can_predict_is_not_held_against_a_run():
    assert status(lambda: nn.Linear(6, 6), noise_prediction) in (Status.PASS, Status.SKIP)


def test_dice_do_not_hide_a_cut_graph():
    assert status(lambda: nn.Linear(6, 6), cut) is Status.FAIL


def test_dice_do_not_hide_a_loss_that_climbs():
    def climbing(model: Any, optimizer: Any, x: Tensor) -> float:
        optimizer.zero_grad()
        value = noise_prediction(model, x)
        (-value).backward()
        optimizer.step()
        return float(value)

    optimizer = lambda model: torch.optim.SGD(model.parameters(), lr=0.01)  # noqa: E731
    given = Subject(
        "climbs",
        model=lambda: nn.Linear(6, 6),
        loss=noise_prediction,
        optimizer=optimizer,
        step=climbing,
        splits={"train": BATCHES},
    )
    assert answer(one_batch_fit.check, given).status is Status.FAIL  # type: ignore[attr-defined]
