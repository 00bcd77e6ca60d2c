"""Freezing in name only, in the ways in which it happens; and freezing as it is."""

import pytest
import torch
from torch import nn

from gonogo.checks.watch.freezing import freezing
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject
from gonogo.watch.inside import record


def found(freeze, between=lambda model, step: None):
    """What is frozen in name only after `freeze(model)`, and `between(model, step)` of the steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), nn.Linear(4, 2))
    freeze(model)
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=0.1)
    x, y = torch.randn(8, 3), torch.arange(8) % 2

    def loop():
        for step in range(15):
            between(model, step)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    told = answer(freezing.check, Subject(name="loop", recording=record(loop))).observation
    assert told.measurements["in_name_only"].value == len(told.tables[0].rows)
    return [row[0] for row in told.tables[0].rows]


def misspell(model):
    for parameter in model[1].parameters():
        parameter.require_grad = False


@pytest.mark.parametrize(
    ("freeze", "names"),
    [
        (lambda model: setattr(model[0], "requires_grad", False), ["0.requires_grad"]),
        (misspell, ["1.weight.require_grad", "1.bias.require_grad"]),
        (lambda model: model[0].requires_grad_(False), []),
        (lambda model: setattr(model[0].requires_grad_(False), "requires_grad", False), []),
        (lambda model: setattr(model[0], "requires_grad", True), []),
    ],
    ids=["a module", "misspelt", "frozen", "frozen and noted", "not meant"],
)
def test_only_freezing_that_freezes_nothing_is_found(freeze, names):
    assert found(freeze) == names


def test_what_is_meant_to_take_turns_is_not_meant_to_stay():
    assert found(misspell, lambda model, step: setattr(model[1].weight, "require_grad", step % 6 == 5)) == [
        "1.bias.require_grad"
    ]
