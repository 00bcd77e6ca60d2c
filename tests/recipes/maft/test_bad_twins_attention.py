"""Defects of attention, put into MAFT one at a time: each is found, and for the right reason."""

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor, nn

from gonogo.checks.attention.bottleneck_cut import bottleneck_cut
from gonogo.checks.attention.degenerate import degenerate
from gonogo.checks.attention.pair_mass import pair_mass
from gonogo.checks.attention.rows import rows
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject
from gonogo_recipes.maft.layers import Attention
from gonogo_recipes.maft.subject import build


class Written(nn.Module):
    """The recipe's attention written out, with the softmax over an axis and a factor of choice."""

    def __init__(self, inner: Attention, axis: int = -1, factor: float = 1.0, masked: bool = True) -> None:
        super().__init__()
        self.inner, self.axis, self.factor, self.masked = inner, axis, factor, masked

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        parts = self.inner.project(x).unflatten(-1, (3, self.inner.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        scores = self.factor * query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        scores = scores + bias[:, None, None, :].to(scores) if self.masked else scores
        return self.inner.out((scores.softmax(self.axis) @ value).transpose(1, 2).flatten(2))


def with_attention(**changes: Any) -> Subject:
    def change(model: nn.Module) -> nn.Module:
        for name, module in list(model.named_modules()):
            if isinstance(module, Attention):
                parent, _, last = name.rpartition(".")
                setattr(model.get_submodule(parent), last, Written(module, **changes))
        return model

    return build(size="tiny").map_model(change)


def asked(check: Callable[..., object], subject: Subject) -> Any:
    return answer(check.check, subject)  # type: ignore[attr-defined]


@pytest.mark.requirement("MAFT-9.2")
@pytest.mark.parametrize("check", [rows, pair_mass, degenerate])
def test_the_twin_without_a_defect_passes(check: Callable[..., object]) -> None:
    assert asked(check, with_attention()).status is Status.PASS


@pytest.mark.requirement("MAFT-9.2")
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax_over_another_axis_fails(axis: int) -> None:
    result = asked(rows, with_attention(axis=axis, masked=False))
    assert result.status is Status.FAIL
    assert "wrong_axis" in result.reason


@pytest.mark.requirement("MAFT-9.3")
def test_padding_that_is_read_is_a_warning() -> None:
    result = asked(pair_mass, with_attention(masked=False))
    assert result.status is Status.WARN
    assert "padding" in result.reason


@pytest.mark.requirement("MAFT-9.3")
@pytest.mark.parametrize(("factor", "measure"), [(0.0, "equal"), (-1e6, "peaked")])
def test_attention_that_cannot_learn_is_a_warning(factor: float, measure: str) -> None:
    result = asked(degenerate, with_attention(factor=factor))
    assert result.status is Status.WARN
    assert measure in result.reason


@pytest.mark.requirement("MAFT-2.2")
def test_bottlenecks_in_front_of_full_self_attention_are_no_bottleneck() -> None:
    """M-3 of the origin: text reads audio within one layer."""
    result = asked(bottleneck_cut, build(size="tiny", **{"model.variant": "legacy"}))
    assert result.status is Status.FAIL
    assert "beside" in result.reason


@pytest.mark.requirement("MAFT-9.3")
def test_one_stream_alone_has_nobody_to_read() -> None:
    result = asked(pair_mass, build(size="tiny").with_claims(modalities=("text",)))
    assert result.status is Status.SKIP
    assert "fewer than two streams" in result.reason
