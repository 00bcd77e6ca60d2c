"""A decoder language model of the Llama shape from its configuration: RMSNorm, rotary positions, grouped heads, SwiGLU.

For sizing alone, where no library with the real implementation is installed: shapes, operators and parameter counts are
those of the published architecture; values are never computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention, silu

from gonogo.errors import SubjectError, did_you_mean

FAMILY = ("llama", "mistral", "qwen2", "qwen3", "phi3", "gemma", "olmo", "granite")  # of the same shape
_NAMES = {"hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"}
_OPTIONAL = {"num_key_value_heads", "head_dim", "tie_word_embeddings", "max_position_embeddings", "attention_bias"}


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """Sizes of a decoder, named as in the config.json files of published models."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    num_key_value_heads: int = 0
    head_dim: int = 0
    tie_word_embeddings: bool = False
    attention_bias: bool = False

    @property
    def key_value_heads(self) -> int:
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def width_of_head(self) -> int:
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def parameters(self) -> int:
        """Their number, by arithmetic."""
        heads, width = self.num_attention_heads + self.key_value_heads, self.width_of_head
        attention = 2 * self.hidden_size * width * heads
        biases = width * (heads + self.key_value_heads) if self.attention_bias else 0
        layer = attention + biases + 3 * self.hidden_size * self.intermediate_size + 2 * self.hidden_size
        tables = self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)
        return self.num_hidden_layers * layer + tables + self.hidden_size


def shape_of(config: Mapping[str, Any], where: str) -> DecoderShape:
    """The shape that a configuration states.

    Raises:
        SubjectError: A size is missing or not a positive whole number, or the sizes contradict each other.
    """
    known = {name: config[name] for name in (*_NAMES, *_OPTIONAL) if config.get(name) is not None}
    known.pop("max_position_embeddings", None)
    for name in sorted(_NAMES - known.keys()):
        raise SubjectError(f"{where}: {name} is missing.{did_you_mean(name, map(str, config))}")
    for name, value in known.items():
        flag = name in ("tie_word_embeddings", "attention_bias")
        if not flag and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise SubjectError(f"{where}: {name} is {value!r}; expected a whole number of at least 1")
    shape = DecoderShape(**known)
    _consistent(shape, where)
    return shape


def _consistent(shape: DecoderShape, where: str) -> None:
    heads, groups, hidden = shape.num_attention_heads, shape.key_value_heads, shape.hidden_size
    if not shape.head_dim and hidden % heads:
        near = [n for n in range(1, hidden + 1) if hidden % n == 0]
        near = sorted(sorted(near, key=lambda n: abs(n - heads))[:3])
        would = ", ".join(map(str, near))
        raise SubjectError(
            f"{where}: hidden_size {hidden} is not divisible by num_attention_heads {heads}; {would} would do"
        )
    if heads % groups:
        raise SubjectError(f"{where}: num_attention_heads {heads} is not divisible by num_key_value_heads {groups}")


class Decoder(nn.Module):
    """Tokens (rows, length) -> scores (rows, length, vocabulary)."""

    def __init__(self, shape: DecoderShape, length: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.num_hidden_layers))
        self.norm = nn.RMSNorm(shape.hidden_size)
        self.head = nn.Linear(shape.hidden_size, shape.vocab_size, bias=False)
        if shape.tie_word_embeddings:
            self.head.weight = self.embedding.weight
        half = shape.width_of_head // 2
        self.cos, self.sin = nn.Buffer(torch.empty(length, half)), nn.Buffer(torch.empty(length, half))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        turn = (self.cos[: tokens.shape[1]].to(x.dtype), self.sin[: tokens.shape[1]].to(x.dtype))
        for layer in self.layers:
            x = layer(x, turn)
        return self.head(self.norm(x))


class Layer(nn.Module):
    """Attention and feed-forward, each after a norm and around a residual."""

    def __init__(self, shape: DecoderShape) -> None:
        super().__init__()
        self.heads, self.groups, self.width = shape.num_attention_heads, shape.key_value_heads, shape.width_of_head
        hidden, inner, bias = shape.hidden_size, shape.intermediate_size, shape.attention_bias
        self.norm1, self.norm2 = nn.RMSNorm(hidden), nn.RMSNorm(hidden)
        self.q = nn.Linear(hidden, self.heads * self.width, bias=bias)
        self.k = nn.Linear(hidden, self.groups * self.width, bias=bias)
        self.v = nn.Linear(hidden, self.groups * self.width, bias=bias)
        self.out = nn.Linear(self.heads * self.width, hidden, bias=False)
        self.gate = nn.Linear(hidden, inner, bias=False)
        self.up = nn.Linear(hidden, inner, bias=False)
        self.down = nn.Linear(inner, hidden, bias=False)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        x = x + self._attend(self.norm1(x), turn)
        y = self.norm2(x)
        return x + self.down(silu(self.gate(y)) * self.up(y))

    def _attend(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        rows, length, _ = x.shape
        q, k, v = (part(x).view(rows, length, -1, self.width).transpose(1, 2) for part in (self.q, self.k, self.v))
        q, k = _turned(q, turn), _turned(k, turn)
        mixed = scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.groups)
        return self.out(mixed.transpose(1, 2).reshape(rows, length, -1))


def _turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = turn
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def next_token_loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy of the scores of tokens against targets, both (rows, length)."""
    tokens, targets = batch
    scores = model(tokens)
    return cross_entropy(scores.flatten(0, 1).float(), targets.flatten())
