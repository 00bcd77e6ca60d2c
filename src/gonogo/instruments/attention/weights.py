"""The weights of one call of attention, as far as they are kept. Legend: b samples, h heads, q queries, k keys."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

MASKED = -9999.0  # a score at or below it is a mask: -1e4, -1e9, the lowest number of a precision, -inf
SAMPLES = 8  # kept at most
BUDGET = 2**13  # weights kept of one call inside a training step; queries beyond it are thinned out evenly


@dataclass(frozen=True)
class Content:
    """What scored: the rows of the queries and of the keys of the samples that are kept."""

    queries: Float[Tensor, "b q feature"]
    keys: Float[Tensor, "b k feature"]


@dataclass(frozen=True)
class AttentionMap:
    """One call of attention.

    Attributes:
        where: Dotted name of the module that made the call; empty where it is not known.
        kind: What was called.
        shape: Of all the weights [b, h, q, k], before any were left out.
        weights: Those of the first samples and of the queries `rows`.
        allowed: True where a mask lets the query read the key; None where nothing is masked.
        spread: Largest less smallest score of a query over the keys that it may read.
        rows: The places of the queries that are kept.
        over_keys: Largest distance of a sum over the keys from 1, of queries that may read anything.
        elsewhere: The same for the best of the other axes; infinite where the axis is right by construction.
        changed: Something was done to the weights after the softmax.
        content: Kept on demand.
    """

    where: str
    kind: str
    shape: tuple[int, int, int, int]
    weights: Float[Tensor, "b h q k"]
    allowed: Bool[Tensor, "b h q k"] | None
    spread: Float[Tensor, "b h q"]
    rows: Int[Tensor, " q"]
    over_keys: float
    elsewhere: float = math.inf
    changed: bool = False
    content: Content | None = None

    @property
    def valid(self) -> Int[Tensor, "b h q"]:
        """How many keys each query may read."""
        if self.allowed is None:
            return torch.full(self.weights.shape[:3], self.weights.shape[3], device=self.weights.device)
        return self.allowed.sum(-1)

    @property
    def empty(self) -> int:
        """Kept queries whose every key is masked: what they read is not defined, and nobody may look at it."""
        return int((self.valid == 0).sum())

    @property
    def entropy(self) -> Float[Tensor, "b h q"]:
        """Entropy over the logarithm of the number of valid keys, 0 to 1; nan where fewer than two can be read."""
        weights = self.weights.double()
        entropy = -torch.special.xlogy(weights, weights).sum(-1)
        valid = self.valid
        return torch.where(valid > 1, entropy / valid.clamp(min=2).double().log(), math.nan)

    @property
    def thinned(self) -> str:
        """How much of the weights is kept, in words; empty if all of them are."""
        b, _, q, _ = self.shape
        kept = self.weights.shape
        return "" if (kept[0], kept[2]) == (b, q) else f"{kept[2]} of {q} queries, {kept[0]} of {b} samples"

    @property
    def tolerance(self) -> float:
        """By how much a sum of this many weights in this precision may miss 1."""
        floor = {torch.float64: 1e-9, torch.float32: 1e-5}.get(self.weights.dtype, 1e-2)
        return max(floor, self.shape[3] * torch.finfo(self.weights.dtype).eps / 8)


def places(shape: tuple[int, int, int, int], budget: int) -> tuple[int, Tensor]:
    """How many samples, and which queries, fit into a number of weights."""
    b, h, q, k = shape
    samples = max(1, min(b, SAMPLES, budget // max(1, h * k)))
    rows = max(1, min(q, budget // max(1, samples * h * k)))
    return samples, torch.linspace(0, q - 1, rows).round().long()


def as_map(where: str, kind: str, weights: Tensor, scores: Tensor | None, *, budget: int = BUDGET) -> AttentionMap:
    """The map of weights that were seen, [..., q, k], with the scores that they were made of, in the same order."""
    four = in_four(weights.detach())
    shape = (four.shape[0], four.shape[1], four.shape[2], four.shape[3])
    samples, rows = places(shape, budget)
    kept = four[:samples, :, rows.to(four.device)]  # a copy, since it is indexed
    if scores is None:
        unknown = torch.full(kept.shape[:3], math.nan, device=kept.device)
        return AttentionMap(where, kind, shape, kept, None, unknown, rows, _off(kept, None))
    chosen = in_four(scores.detach())[:samples, :, rows.to(four.device)]
    allowed = _unmasked(chosen)
    return AttentionMap(where, kind, shape, kept, allowed, spread_of(chosen, allowed), rows, _off(kept, allowed))


def recomputed(
    query: Tensor,
    key: Tensor,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    *,
    where: str = "",
    kind: str = "scaled_dot_product_attention",
    budget: int = BUDGET,
) -> AttentionMap:
    """What a fused kernel must have used, [..., h, q, d] against [..., h, k, d], in float32 or better.

    Heads of the keys that several heads of the queries share are repeated. `mask` is True where reading is allowed, or
    added to the scores. Source: torch.nn.functional.scaled_dot_product_attention, its own reference code.
    """
    query, key = in_four(query.detach()), in_four(key.detach())
    shape = (query.shape[0], query.shape[1], query.shape[2], key.shape[2])
    samples, rows = places(shape, budget)
    at = rows.to(query.device)
    query, key = (part if part.dtype is torch.float64 else part.float() for part in (query[:samples, :, at], key))
    key = key[: samples if key.shape[0] == shape[0] else 1]  # one memory may be shared by all
    key = key.repeat_interleave(shape[1] // key.shape[1], dim=1) if key.shape[1] not in (1, shape[1]) else key
    scores = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if causal:
        scores = scores.masked_fill(torch.arange(shape[3], device=at.device) > at[:, None], -math.inf)
    if mask is not None:
        scores = _with_mask(scores, in_four(mask.detach()), at, shape)
    allowed = _unmasked(scores)
    weights = scores.softmax(-1)
    return AttentionMap(where, kind, shape, weights, allowed, spread_of(scores, allowed), rows, _off(weights, allowed))


def in_four(tensor: Tensor) -> Tensor:
    """[b, h, ., .] of any number of axes; the last two stay what they are."""
    if tensor.dim() < 4:
        return tensor.reshape(tensor.shape[0] if tensor.dim() == 3 else 1, 1, *tensor.shape[-2:])
    return tensor.flatten(0, tensor.dim() - 4)


def off_one(sums: Tensor) -> float:
    """Largest distance from 1; sums of nothing are left out."""
    filled = sums[(sums.abs() > 1e-6) & torch.isfinite(sums)]
    return float((filled - 1).abs().max()) if filled.numel() else 0.0


def spread_of(scores: Tensor, allowed: Tensor | None) -> Tensor:
    """Largest less smallest score over the allowed keys, [b, h, q]; nan where there are none."""
    if allowed is None:
        return scores.amax(-1) - scores.amin(-1)
    high = scores.masked_fill(~allowed, -math.inf).amax(-1)
    return high - scores.masked_fill(~allowed, math.inf).amin(-1)


def _with_mask(scores: Tensor, mask: Tensor, at: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    mask = mask[:, :, at] if mask.shape[2] == shape[2] else mask
    mask = mask[: len(scores)] if mask.shape[0] == shape[0] else mask
    return scores.masked_fill(~mask, -math.inf) if mask.dtype is torch.bool else scores + mask.to(scores)


def _unmasked(scores: Tensor) -> Tensor | None:
    allowed = ~(scores <= MASKED)
    return None if bool(allowed.all()) else allowed


def _off(weights: Tensor, allowed: Tensor | None) -> float:
    sums = weights.sum(-1, dtype=torch.float64)
    return off_one(sums if allowed is None else sums[allowed.any(-1)])
