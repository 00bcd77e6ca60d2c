"""An encoder-decoder with padding on both sides and teacher forcing."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

PAD, BEGIN, VOCABULARY, LONGEST, DIM, IGNORED = 0, 1, 18, 8, 24, -100
CONFIG = {"lr": 1e-2, "batch_size": parts.BATCH_SIZE, "dim": DIM, "max_length": LONGEST}


class EncoderDecoder(nn.Module):
    """One block on each side; padded source positions are never attended to."""

    def __init__(self) -> None:
        super().__init__()
        self.source = nn.Embedding(VOCABULARY, DIM)
        self.target = nn.Embedding(VOCABULARY, DIM)
        self.position = nn.Embedding(LONGEST, DIM)
        self.encode = parts.Attention(DIM)
        self.attend_self = parts.Attention(DIM)
        self.attend_source = parts.Attention(DIM)
        self.feed_forward = parts.FeedForward(DIM)
        self.head = nn.Linear(DIM, VOCABULARY)
        nn.init.normal_(self.head.weight, std=0.02)

    def forward(
        self, source: Int[Tensor, "batch time"], mask: Bool[Tensor, "batch time"], given: Int[Tensor, "batch out"]
    ) -> Float[Tensor, "batch out vocabulary"]:
        """Logits of each target token from the source and the target tokens before it."""
        allowed = mask[:, None, None, :]
        memory = self.encode(self.source(source) + self._places(source), mask=allowed)
        x = self.attend_self(self.target(given) + self._places(given), causal=True)
        return self.head(self.feed_forward(self.attend_source(x, memory, mask=allowed)))

    def _places(self, tokens: Int[Tensor, "batch time"]) -> Float[Tensor, "time dim"]:
        return self.position(torch.arange(tokens.shape[1], device=tokens.device))


def seq2seq() -> Subject:
    """Synthetic translation: each token has one counterpart, order kept, lengths 5 to 8."""
    return Subject(
        name="toy encoder-decoder",
        model=EncoderDecoder,
        loss=_loss,
        optimizer=parts.adamw(float(CONFIG["lr"])),
        splits=parts.two_splits(_samples()),
        predict=_logits,
        config=CONFIG,
        claims=Claims(classes=VOCABULARY, parameters=11_130, target="labels"),
    )


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(4)
    count = parts.TRAIN + parts.VALID
    tokens = torch.randint(2, VOCABULARY, (count, LONGEST), generator=generator)
    lengths = torch.randint(5, LONGEST + 1, (count, 1), generator=generator)
    mask = torch.arange(LONGEST) < lengths
    counterpart = 2 + torch.randperm(VOCABULARY - 2, generator=generator)
    labels = counterpart[tokens - 2].masked_fill(~mask, IGNORED)
    source = tokens.masked_fill(~mask, PAD)
    return [{"source": s, "source_mask": m, "labels": y} for s, m, y in zip(source, mask, labels, strict=True)]


def _logits(model: nn.Module, batch: Any) -> Tensor:
    # Teacher forcing: the decoder sees the target one position late, never the token it must predict.
    given = functional.pad(batch["labels"][:, :-1], (1, 0), value=BEGIN)
    return model(batch["source"], batch["source_mask"], given.masked_fill(given == IGNORED, PAD))


def _loss(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(
        _logits(model, batch).flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORED
    )
