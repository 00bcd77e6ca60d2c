"""Compiled models against their own code: sound backends first."""

import pytest
import torch
from torch import nn

from gonogo.checks.model.compiled import compiled
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS


def status(change):
    return answer(compiled.check, TOYS["regressor"]().map_model(change)).status


class Own(nn.Module):
    """torch compiles no module of its own in place."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


def in_place(model, backend="eager"):
    model = Own(model)
    model.compile(backend=backend)
    return model


def a_part(model):
    return nn.Sequential(torch.compile(model[:2], backend="aot_eager"), *model[2:])


def with_dropout(model):
    return torch.compile(nn.Sequential(*model[:2], nn.Dropout(), nn.BatchNorm1d(48), *model[2:]), backend="aot_eager")


@pytest.mark.parametrize("change", [in_place, a_part, with_dropout])
def test_a_sound_backend_is_fine(change):
    assert status(change) is Status.PASS


def test_a_wrong_backend_is_found_where_the_module_was_compiled_in_place():
    def wrong(graph, inputs):
        return lambda *given: tuple(out + out.detach().abs() for out in graph(*given))

    assert status(lambda model: in_place(model, wrong)) is Status.FAIL


def test_a_model_that_is_not_compiled_is_not_asked():
    assert status(lambda model: model) is Status.SKIP


def test_a_backend_that_is_not_there_is_not_the_models_fault():
    def refuse(graph, inputs):
        raise RuntimeError("no compiler")

    assert status(lambda model: torch.compile(model, backend=refuse)) is Status.SKIP
