"""Which outputs a loss drives away, in cases made by hand."""

import pytest
import torch
from torch import nn

from gonogo.instruments.loss.boundless import boundless
from gonogo.training.session import Session
from gonogo.training.subject import Subject


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(4, 6)

    def forward(self, x: torch.Tensor) -> dict[str, list[torch.Tensor]]:
        return {"parts": list(self.net(x).chunk(2, 1))}


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (lambda a, b: a.square().mean() - b.square().mean(), 1),
        (lambda a, b: a.square().mean() - b.mean(), 0),
        (lambda a, b: a.square().mean() - b.abs().mean(), 0),
        (lambda a, b: a.square().mean() - b.tanh().square().mean(), 0),
    ],
    ids=["square", "one way", "a line", "bounded"],
)
def test_only_what_falls_both_ways_faster_than_a_line_is_named(term, expected):
    data = [(torch.randn(8, 4), torch.zeros(8))]
    subject = Subject("two", model=Two, loss=lambda m, b: term(*m(b[0])["parts"]), splits={"train": data})
    session = Session(subject)
    assert len(boundless(session, session.model, data[0])) == expected
