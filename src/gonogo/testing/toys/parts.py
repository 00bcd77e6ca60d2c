"""What the toys share: data sets read by index, loaders, optimizers, attention and metrics."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader, Dataset

from gonogo.training.session import evaluating

BATCH_SIZE = 16
TRAIN, VALID = 160, 72  # samples; the last validation batch is ragged on purpose


class Rows(Dataset[Any]):
    """Samples held in memory: reading one index twice gives the same sample."""

    def __init__(self, samples: Sequence[Any]) -> None:
        self.samples = samples

    def __getitem__(self, index: int) -> Any:
        return self.samples[index]

    def __len__(self) -> int:
        return len(self.samples)


def two_splits(
    samples: Sequence[Any], collate: Callable[[list[Any]], Any] | None = None
) -> dict[str, Callable[[], Iterable[Any]]]:
    """Loaders of the first TRAIN samples, shuffled, and of the others, in order."""
    train, valid = Rows(samples[:TRAIN]), Rows(samples[TRAIN:])
    return {
        "train": lambda: DataLoader(train, BATCH_SIZE, shuffle=True, collate_fn=collate),
        "valid": lambda: DataLoader(valid, BATCH_SIZE, collate_fn=collate),
    }


def adamw(rate: float) -> Callable[[nn.Module], Optimizer]:
    """A factory of AdamW over the trainable parameters."""
    return lambda model: AdamW([p for p in model.parameters() if p.requires_grad], lr=rate, weight_decay=0.0)


def own_step(loss_of: Callable[[nn.Module, Any], Tensor]) -> Callable[[nn.Module, Any, Any], float]:
    """A step function as people write it: train mode, clear, backward, step."""

    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        model.train()
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def normal(generator: torch.Generator, *shape: int) -> Tensor:
    """Standard normal draws of that shape."""
    return torch.randn(*shape, generator=generator)


def accuracy(
    logits_of: Callable[[nn.Module, Any], Tensor], target_of: Callable[[Any], Tensor]
) -> Callable[[nn.Module, Iterable[Any]], Mapping[str, float]]:
    """An evaluation: the share of right answers over all samples, not the mean over (ragged) batches."""

    def evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
        right = total = 0
        with evaluating(model), torch.no_grad():
            for batch in loader:
                hits = logits_of(model, batch).argmax(-1) == target_of(batch)
                right, total = right + int(hits.sum()), total + hits.numel()
        return {"accuracy": right / total}

    return evaluate


class Attention(nn.Module):
    """Multi-head attention of queries over a memory, with a residual connection and a norm in front."""

    def __init__(self, dim: int, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim, bias=False)  # a bias of the keys would cancel in the softmax
        self.out = nn.Linear(dim, dim)

    def forward(
        self,
        x: Float[Tensor, "batch time dim"],
        memory: Float[Tensor, "batch source dim"] | None = None,
        mask: Bool[Tensor, "batch 1 1 source"] | None = None,
        causal: bool = False,
    ) -> Float[Tensor, "batch time dim"]:
        """`x` plus what it attends to: `memory`, or itself; `mask` is True where attention is allowed."""
        normed = self.norm(x)
        source = normed if memory is None else memory
        query = self._split(self.query(normed))
        key, value = (self._split(part) for part in self.key_value(source).chunk(2, -1))
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
        return x + self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Float[Tensor, "batch time dim"]) -> Float[Tensor, "batch head time part"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Two layers per position, with a residual connection and a norm in front."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Float[Tensor, "batch time dim"]) -> Float[Tensor, "batch time dim"]:
        """The same shape."""
        return x + self.layers(x)
