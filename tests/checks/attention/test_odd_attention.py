"""Attention that is unusual and right is not accused by any check of attention."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.attention.degenerate import degenerate
from gonogo.checks.attention.rows import rows
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

B, H, T, D = 4, 2, 8, 16
PLACES = torch.arange(T)
CAUSAL = PLACES[:, None] < PLACES


def scores_of(q, k):
    return q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5


def linear(net, q, k, v):
    q, k = functional.elu(q) + 1, functional.elu(k) + 1
    return q @ (k.transpose(-1, -2) @ v) / (q @ k.sum(-2).unsqueeze(-1))


def cosine(net, q, k, v):
    q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
    return (10 * q @ k.transpose(-1, -2)).softmax(-1) @ v


def sigmoid(net, q, k, v):
    return torch.sigmoid(scores_of(q, k) - 2) @ v


def off_by_one(net, q, k, v):
    powers = scores_of(q, k).exp()
    return powers / (1 + powers.sum(-1, keepdim=True)) @ v


def sinks(net, q, k, v):
    scores = torch.cat([scores_of(q, k), net.sink.expand(B, H, T, 1)], -1)
    return scores.softmax(-1)[..., :-1] @ v


def best_few(net, q, k, v):
    weights = scores_of(q, k).softmax(-1)
    return weights.masked_fill(weights < weights.topk(3).values[..., -1:], 0.0) @ v


def best_few_first(net, q, k, v):
    scores = scores_of(q, k)
    return scores.masked_fill(scores < scores.topk(3).values[..., -1:], float("-inf")).softmax(-1) @ v


def clusters(net, q, k, v):
    assigned = scores_of(q, k)[..., :3].softmax(-1)
    return assigned @ (assigned.transpose(-1, -2) @ v)


def relative(net, q, k, v):
    return (scores_of(q, k) + net.bias).softmax(-1) @ v


def alibi(net, q, k, v):
    far = -(PLACES - PLACES[:, None]).abs() * torch.tensor([0.5, 4.0])[:, None, None]
    return functional.scaled_dot_product_attention(q, k, v, far.masked_fill(CAUSAL, float("-inf")))


def talking_heads(net, q, k, v):
    mixed = torch.einsum("bhqk,hg->bgqk", scores_of(q, k), net.heads).softmax(-1)
    return torch.einsum("bhqk,hg->bgqk", mixed, net.heads) @ v


def dropped(net, q, k, v):
    return functional.dropout(scores_of(q, k).softmax(-1), 0.5, net.training) @ v


def gated(net, q, k, v):
    weights = scores_of(q, k).softmax(-1)
    weights *= torch.sigmoid(v.mean(-1, keepdim=True))
    return weights @ v


def joint(net, q, k, v):
    """One softmax over all pairs, as bilinear attention has it."""
    return scores_of(q, k).flatten(-2).softmax(-1).unflatten(-1, (T, T)) @ v


def by_position(net, q, k, v):
    return net.bias.softmax(-1).expand(B, H, T, T) @ v


def to_itself(net, q, k, v):
    """A query that is its own key reads itself above all."""
    return (5 * q @ q.transpose(-1, -2)).softmax(-1) @ v


def nothing_to_read(net, q, k, v):
    mask = ~CAUSAL & (PLACES > 1)
    return functional.scaled_dot_product_attention(q, k, v, mask | (PLACES == T).expand(T, T))


def all_masked(net, q, k, v):
    hidden = CAUSAL | (PLACES < 2)
    return scores_of(q, k).masked_fill(hidden, float("-inf")).softmax(-1).nan_to_num() @ v


def sliding(net, q, k, v):
    near = (PLACES - PLACES[:, None]).abs() <= 1
    return functional.scaled_dot_product_attention(q, k, v, near)


def experts(net, q, k, v):
    gates = torch.einsum("bhqd,hed->bhqe", q, net.experts).softmax(-1)
    return torch.einsum("bhqe,bhqed->bhqd", gates, v.unsqueeze(-2) * torch.ones(3, 1))


def half(net, q, k, v):
    return scores_of(q.bfloat16(), k.bfloat16()).softmax(-1).matmul(v.bfloat16()).float()


ODD = [linear, cosine, sigmoid, off_by_one, sinks, best_few, best_few_first, clusters, relative, alibi, talking_heads]
ODD += [dropped, gated, joint, by_position, to_itself, nothing_to_read, all_masked, sliding, experts, half]


class Net(nn.Module):
    def __init__(self, attend, zero_query=False) -> None:
        super().__init__()
        self.query, self.rest, self.attend = nn.Linear(D, D), nn.Linear(D, 2 * D), attend
        self.sink, self.bias = nn.Parameter(torch.zeros(H, 1, 1)), nn.Parameter(torch.randn(H, T, T))
        self.heads, self.experts = nn.Parameter(torch.eye(H) + 0.1), nn.Parameter(torch.randn(H, 3, D // H))
        if zero_query:
            nn.init.zeros_(self.query.weight)
            nn.init.zeros_(self.query.bias)

    def forward(self, x):
        parts = (self.query(x), *self.rest(x).chunk(2, -1))
        q, k, v = (part.unflatten(-1, (H, -1)).transpose(1, 2) for part in parts)
        return self.attend(self, q, k, v)


def subject(attend, **changes):
    batch = torch.randn(B, T, D, generator=torch.Generator().manual_seed(1))
    return Subject(
        "odd",
        model=lambda: Net(attend, **changes),
        loss=lambda model, x: model(x).square().mean(),
        optimizer=lambda model: torch.optim.AdamW(model.parameters(), 1e-3),
        splits={"train": lambda: [batch]},
    )


@pytest.mark.parametrize("attend", ODD, ids=lambda attend: attend.__name__)
@pytest.mark.parametrize("check", [rows.check, degenerate.check], ids=lambda check: check.id)
def test_unusual_attention_is_not_accused(check, attend):
    result = answer(check, subject(attend))
    assert result.status <= Status.SKIP, result.reason


def test_a_query_that_starts_at_zero_may_learn():
    assert answer(degenerate.check, subject(relative, zero_query=True)).status is Status.PASS
    assert answer(degenerate.check, subject(half, zero_query=True)).status is Status.PASS


def zero_key(net, q, k, v):
    return scores_of(q, 0 * k).softmax(-1) @ v


def without_scale(net, q, k, v):
    return (1e3 * q @ k.transpose(-1, -2)).softmax(-1) @ v


@pytest.mark.parametrize(("attend", "measure"), [(zero_key, "equal"), (without_scale, "peaked")])
def test_attention_that_cannot_learn_is_a_warning(attend, measure):
    result = answer(degenerate.check, subject(attend))
    assert result.status is Status.WARN
    assert measure in result.reason


def test_weights_that_are_negative_or_not_finite_fail():
    def overflown(net, q, k, v):
        return (scores_of(q, k) + torch.where(PLACES == 2, float("nan"), 0.0)).softmax(-1) @ v

    assert answer(rows.check, subject(overflown)).status is Status.FAIL
