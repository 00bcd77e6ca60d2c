"""Content changes against a slow twin: the whole Jacobian."""

import torch
from torch import nn
from torch.nn import functional

from gonogo.instruments.answers.recorded_call import recorded
from gonogo.instruments.sequence.isolation import View, padding_of, reaches, replaced, response, views
from gonogo.training.session import Session
from gonogo.training.subject import Subject

B, T, F = 3, 7, 2


class Window(nn.Module):
    """Each output sees `back` steps of the past and `ahead` of the future."""

    def __init__(self, back: int, ahead: int) -> None:
        super().__init__()
        self.conv, self.sides = nn.Conv1d(F, F, back + ahead + 1), (back, ahead)

    def forward(self, x):
        return self.conv(functional.pad(x.transpose(1, 2), self.sides)).transpose(1, 2)


def session(back: int, ahead: int) -> Session:
    batch = torch.randn(B, T, F, generator=torch.Generator().manual_seed(1))
    loss = lambda model, x: model(x).square().mean()  # noqa: E731
    return Session(Subject("w", model=lambda: Window(back, ahead), loss=loss, splits={"train": lambda: [batch]}))


def jacobian(model, x):
    """[t, t]: does output i depend on input j, by every derivative there is."""
    full = torch.autograd.functional.jacobian(model, x)
    return full.abs().amax((0, 2, 3, 5)) > 0  # type: ignore[union-attr]


def test_response_agrees_with_the_jacobian():
    probe = recorded(session(2, 1))
    [view] = [view for view in views(probe) if (view.rows, view.time) == (0, 1)]
    slow = jacobian(probe.model, probe.streams[view.path])
    for place in range(T):
        where = torch.zeros(B, T, dtype=torch.bool)
        where[:, place] = True
        assert torch.equal((response(probe, view, where) > 0).any(0), slow[:, place])


def test_reach_tells_future_from_past():
    [causal] = [reach for reach in reaches(session(2, 0)) if reach.view.time == 1]
    assert causal.leak == 0
    assert causal.past > 0
    [ahead] = [reach for reach in reaches(session(0, 2)) if reach.view.time == 1]
    assert ahead.leak > 0
    assert ahead.past == 0


def test_replaced_tokens_differ_where_asked_and_nowhere_else():
    tokens = torch.randint(5, (B, T), generator=torch.Generator().manual_seed(1))
    where = torch.arange(T).expand(B, T) > 3
    assert torch.equal(replaced(tokens, where, 0) != tokens, where)


def test_padding_is_a_run_at_an_end():
    tokens = torch.tensor([[4, 0, 3, 0, 0], [0, 0, 2, 0, 1], [1, 2, 3, 4, 0]])
    assert padding_of(tokens, 0).long().tolist() == [[0, 0, 0, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 1]]
    assert padding_of(tokens).long().tolist() == [[0, 0, 0, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]]


def test_a_view_and_its_inverse_give_the_tensor_back():
    x = torch.randn(2, 3, 4)
    view = View("x", 0, 2)
    assert view.of(x).shape == (2, 4, 3)
    assert torch.equal(view.back(view.of(x)), x)
