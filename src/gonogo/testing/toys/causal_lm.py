"""A decoder-only language model with tied embeddings."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

VOCABULARY, LENGTH, DIM = 24, 12, 32
CONFIG = {"lr": 1e-2, "batch_size": parts.BATCH_SIZE, "dim": DIM, "layers": 1, "context": LENGTH}


class Decoder(nn.Module):
    """One causal block between an embedding and its transpose."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, DIM)
        self.position = nn.Embedding(LENGTH, DIM)
        self.attention = parts.Attention(DIM)
        self.feed_forward = parts.FeedForward(DIM)
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, VOCABULARY, bias=False)
        nn.init.normal_(self.embedding.weight, std=0.1)  # the tied head starts near a uniform guess
        nn.init.normal_(self.position.weight, std=0.1)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time vocabulary"]:
        """Logits of the next token at each position."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.embedding(tokens) + self.position(places)
        return self.head(self.norm(self.feed_forward(self.attention(x, causal=True))))


def causal_lm() -> Subject:
    """Synthetic sentences: each token has one usual successor, taken four times in five."""
    return Subject(
        name="toy causal language model",
        model=Decoder,
        loss=_loss,
        optimizer=parts.adamw(float(CONFIG["lr"])),
        splits=parts.two_splits(_samples()),
        predict=lambda model, batch: model(batch["input_ids"]),
        config=CONFIG,
        claims=Claims(classes=VOCABULARY, parameters=9_696, target="labels", causal=True),
    )


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    count = parts.TRAIN + parts.VALID
    successor = torch.randperm(VOCABULARY, generator=generator)
    tokens = torch.randint(VOCABULARY, (4 * count, LENGTH), generator=generator)
    usual = torch.rand(4 * count, LENGTH, generator=generator) < 0.8
    for t in range(1, LENGTH):
        tokens[:, t] = torch.where(usual[:, t], successor[tokens[:, t - 1]], tokens[:, t])
    distinct = torch.unique(tokens, dim=0)
    chosen = distinct[torch.randperm(len(distinct), generator=generator)[:count]]
    return [{"input_ids": row, "labels": row.clone()} for row in chosen]


def _loss(model: nn.Module, batch: Any) -> Tensor:
    logits = model(batch["input_ids"])[:, :-1]
    return functional.cross_entropy(logits.flatten(0, 1), batch["labels"][:, 1:].flatten())
