"""What encoders and fusion are made of: attention with a bias per key, a block, a code of time, a pooled mean."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

FREQUENCIES = (0.1, 12.0)  # cycles per clip: the slowest tells the halves apart, the fastest neighbouring steps


def key_bias(
    mask: Bool[Tensor, "b l"], quality: Float[Tensor, "b l"] | None, weight: float, dtype: torch.dtype
) -> Float[Tensor, "b l"]:
    """What is added to the attention score of each key: weight * log(quality), and -inf where there is no step.

    Quality 1 adds 0, the same bits as no quality at all; towards quality 0 a step counts as little as a masked one.
    """
    seen = torch.zeros((), dtype=dtype, device=mask.device)
    if quality is not None:
        # The logarithm is taken of what is valid alone: in the other places there may be anything, also 0 or NaN.
        valid = torch.where(mask, quality.to(dtype), 1).clamp(min=torch.finfo(dtype).tiny)
        seen = weight * valid.log()
    return torch.where(mask, seen, -torch.inf)


def with_any_key(bias: Float[Tensor, "b l"]) -> Float[Tensor, "b l"]:
    """The bias, with 0 in rows without any key: their softmax would be NaN. What they attend to must not be used."""
    return torch.where(torch.isneginf(bias).all(-1, keepdim=True), 0, bias)


def pooled(x: Float[Tensor, "b l d"], bias: Float[Tensor, "b l"]) -> Float[Tensor, "b d"]:
    """The mean over the steps, each weighted by exp(bias); zeros where a row has no step."""
    weights = with_any_key(bias).softmax(-1)
    some = ~torch.isneginf(bias).all(-1, keepdim=True)
    return torch.where(some, torch.einsum("bl,bld->bd", weights, x), 0)


class TimeCode(nn.Module):
    """Sine and cosine of a step's time, shared by all streams: equal times look alike wherever a step is stored."""

    frequencies: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        low, high = (math.log10(one) for one in FREQUENCIES)
        self.register_buffer("frequencies", torch.logspace(low, high, dim // 2), persistent=False)

    def forward(self, time: Float[Tensor, "b l"]) -> Float[Tensor, "b l d"]:
        """The code of times in [0, 1]."""
        phase = 2 * math.pi * time.to(self.frequencies.dtype).unsqueeze(-1) * self.frequencies
        return torch.cat([phase.sin(), phase.cos()], -1)


class Attention(nn.Module):
    """Self-attention; the weights are those of scaled_dot_product_attention, where instruments look for them."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.project = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Float[Tensor, "b l d"], bias: Float[Tensor, "b l"]) -> Float[Tensor, "b l d"]:
        """Every step as a mean of all, by scores that have the bias of the key added."""
        query, key, value = self.project(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=bias[:, None, None, :].to(query.dtype).expand(-1, -1, x.shape[1], -1),
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.before_attention, self.before_mlp = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, dropout)
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * dim, dim), nn.Dropout(dropout)
        )

    def forward(self, x: Float[Tensor, "b l d"], bias: Float[Tensor, "b l"]) -> Float[Tensor, "b l d"]:
        """Shapes stay."""
        x = x + self.attention(self.before_attention(x), bias)
        return x + self.mlp(self.before_mlp(x))
