"""Attention written in many ways, and softmax along the wrong axis."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.attention.rows import rows
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

B, H, T, D = 4, 2, 6, 8


def by_hand(q, k, v, axis=-1):
    return (q @ k.transpose(-1, -2) / D**0.5).softmax(axis) @ v


def by_einsum(q, k, v, axis=-1):
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k).masked_fill(torch.ones(T, T).triu(1).bool(), -1e9)
    return torch.einsum("bhqk,bhkd->bhqd", functional.softmax(scores, dim=axis), v)


def by_bmm(q, k, v, axis=-1):
    q, k, v = (x.flatten(0, 1) for x in (q, k, v))
    weights = functional.dropout(functional.softmax(torch.bmm(q, k.transpose(1, 2)), axis), 0.1, training=False)
    return torch.bmm(weights, v).view(B, H, T, -1)


def over_features(q, k, v):
    """Linear attention: keys are normalised over positions, queries over features."""
    return q.softmax(-1) @ (k.softmax(-2).transpose(-1, -2) @ v)


def slots(q, k, v):
    """Queries compete for keys, then weights are divided by their sums."""
    weights = (q @ k.transpose(-1, -2)).softmax(-2)
    return (weights / weights.sum(-1, keepdim=True)) @ v


def both_ways(q, k, v):
    scores = q @ k.transpose(-1, -2)
    return scores.softmax(-1) @ v + scores.transpose(-1, -2).softmax(-1) @ v


def clusters(q, k, v):
    """Pooling into clusters: weights add up over clusters, the product runs over positions."""
    assigned = (q @ k.transpose(-1, -2)[..., :3]).softmax(-1)
    return assigned @ (assigned.transpose(-1, -2) @ v)


class Net(nn.Module):
    def __init__(self, attend) -> None:
        super().__init__()
        self.qkv, self.attend = nn.Linear(D, 3 * D), attend

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (H, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        return self.attend(q, k, v)


def verdict(attend):
    batch = torch.randn(B, T, D, generator=torch.Generator().manual_seed(1))
    given = Subject(
        "hand-made",
        model=lambda: Net(attend),
        loss=lambda model, x: model(x).square().mean(),
        splits={"train": lambda: [batch]},
    )
    return answer(rows.check, given).status


@pytest.mark.parametrize("attend", [by_hand, by_einsum, by_bmm, both_ways])
def test_right_attention_passes(attend):
    assert verdict(attend) is Status.PASS


@pytest.mark.parametrize("attend", [over_features, slots, clusters, functional.scaled_dot_product_attention])
def test_other_uses_of_softmax_are_not_accused(attend):
    assert verdict(attend) <= Status.SKIP


@pytest.mark.parametrize("attend", [by_hand, by_einsum])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax_over_another_axis_fails(attend, axis):
    assert verdict(lambda q, k, v: attend(q, k, v, axis)) is Status.FAIL
