"""A pre-norm language model with everything written out by hand, as courses teach it; 423 million parameters.

RMSNorm, rotary positions, SwiGLU, attention from scores, mask, softmax and product, an AdamW that goes parameter by
parameter. Real peaks of such a model on a card are known (see README.md), so it is a truth for predictions.
"""

import math

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """y = x W^T without bias; weights (out, in)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("...i,oi->...o", x, self.weight)


class RMSNorm(nn.Module):
    """x / rms(x) * gain, in single precision."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        kind = x.dtype
        x = x.to(torch.float32)
        scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)
        return (x * scale * self.weight).to(kind)


class Rotary(nn.Module):
    """Turns pairs of channels by an angle that grows with the position."""

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        rates = 10000.0 ** (-torch.arange(0, width, 2) / width)
        angles = torch.outer(torch.arange(length), rates)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        cos, sin = self.cos[: x.shape[-2]], self.sin[: x.shape[-2]]
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack((cos * even - sin * odd, sin * even + cos * odd), dim=-1).flatten(-2)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (Linear(width, width) for _ in range(4))
        self.rotary = Rotary(width // heads, length)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        q, k, v = (part(x).view(rows, length, self.heads, -1).transpose(1, 2) for part in (self.q, self.k, self.v))
        q, k = self.rotary(q), self.rotary(k)
        position = torch.arange(length, device=x.device)
        mask = position[:, None] >= position[None, :]
        scores = torch.einsum("...qd,...kd->...qk", q, k) / math.sqrt(q.shape[-1])
        scores = torch.where(mask, scores, float("-inf"))
        mixed = torch.einsum("...qk,...kd->...qd", softmax(scores), v)
        return self.out(mixed.transpose(1, 2).reshape(rows, length, width))


class FeedForward(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.up, self.gate, self.down = Linear(width, inner), Linear(width, inner), Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.up(x)
        return self.down(gate * torch.sigmoid(gate) * self.gate(x))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, inner: int, length: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = RMSNorm(width), RMSNorm(width)
        self.attention, self.feed = Attention(width, heads, length), FeedForward(width, inner)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.feed(self.norm2(x))


class LanguageModel(nn.Module):
    """Tokens (rows, length) -> scores (rows, length, vocabulary)."""

    def __init__(
        self,
        length: int,
        *,
        vocabulary: int = 10_000,
        width: int = 1024,
        layers: int = 24,
        heads: int = 16,
        inner: int = 4096,
    ) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(vocabulary, width))
        self.blocks = nn.ModuleList(Block(width, heads, inner, length) for _ in range(layers))
        self.norm, self.head = RMSNorm(width), Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding[tokens]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def softmax(scores: Tensor) -> Tensor:
    shifted = scores - scores.max(dim=-1, keepdim=True)[0]
    powers = torch.exp(shifted)
    return powers / powers.sum(dim=-1, keepdim=True)


def cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    shifted = scores - scores.max(dim=-1, keepdim=True)[0]
    normal = shifted.exp().sum(dim=-1).log()
    return (normal - shifted.gather(-1, targets.unsqueeze(-1)).squeeze(-1)).mean()


class AdamW(torch.optim.Optimizer):
    """Parameter by parameter, with temporaries as one writes them at first."""

    def __init__(self, parameters, lr: float = 1e-3) -> None:
        super().__init__(parameters, {"lr": lr, "betas": (0.9, 0.95), "eps": 1e-8, "decay": 0.01})

    def step(self, closure=None) -> None:
        for group in self.param_groups:
            first, second = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state, gradient = self.state[parameter], parameter.grad.data
                t = state.get("t", 0) + 1
                m = first * state.get("m", torch.zeros_like(parameter)) + (1 - first) * gradient
                v = second * state.get("v", torch.zeros_like(parameter)) + (1 - second) * gradient**2
                rate = group["lr"] * math.sqrt(1 - second**t) / (1 - first**t)
                parameter.data -= rate * m / (torch.sqrt(v) + group["eps"])
                parameter.data -= group["lr"] * group["decay"] * parameter.data
                state["t"], state["m"], state["v"] = t, m, v
