"""A decoder-only language model on sentences of different lengths, padded on the right."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

PAD, BEGIN, END, VOCABULARY, LENGTH, DIM, IGNORED = 0, 1, 2, 24, 12, 24, -100
CONFIG = {"lr": 1e-2, "batch_size": parts.BATCH_SIZE, "dim": DIM, "context": LENGTH}


class MaskedDecoder(nn.Module):
    """One causal block that attends only to real tokens of the same segment."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, DIM)
        self.position = nn.Embedding(LENGTH, DIM)
        self.attention = parts.Attention(DIM)
        self.feed_forward = parts.FeedForward(DIM)
        self.head = nn.Linear(DIM, VOCABULARY, bias=False)
        nn.init.normal_(self.head.weight, std=0.02)

    def forward(
        self,
        tokens: Int[Tensor, "batch time"],
        mask: Int[Tensor, "batch time"],
        positions: Int[Tensor, "batch time"] | None = None,
        segments: Int[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch time vocabulary"]:
        """Logits of the next token at each position."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        allowed = (places[:, None] >= places) & mask[:, None, :].bool()
        if segments is not None:
            allowed = allowed & (segments[:, :, None] == segments[:, None, :])
        # Padding in front sees at least itself: an empty row of attention would be nan.
        allowed = allowed | torch.eye(len(places), dtype=torch.bool, device=tokens.device)
        x = self.embedding(tokens) + self.position(places if positions is None else positions)
        return self.head(self.feed_forward(self.attention(x, mask=allowed[:, None])))


def padded_lm() -> Subject:
    """Synthetic sentences: each token has one usual successor; begin, 4 to 10 tokens, end, padding."""
    return subject_of("toy language model with padding", _samples(), logits)


def subject_of(name: str, samples: list[dict[str, Tensor]], predict: Any) -> Subject:
    """The subject of a masked decoder on these samples."""

    def loss(model: nn.Module, batch: Any) -> Tensor:
        predicted, wanted = predict(model, batch)[:, :-1], batch["labels"][:, 1:]
        return functional.cross_entropy(predicted.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)

    return Subject(
        name=name,
        model=MaskedDecoder,
        loss=loss,
        optimizer=parts.adamw(float(CONFIG["lr"])),
        splits=parts.two_splits(samples),
        predict=predict,
        config=CONFIG,
        claims=Claims(
            classes=VOCABULARY, parameters=6_264, target="labels", causal=True, pad_id=PAD, bos_id=BEGIN, eos_id=END
        ),
    )


def logits(model: nn.Module, batch: Any) -> Tensor:
    """The model's answer, with the mask of the batch."""
    return model(batch["input_ids"], batch["attention_mask"])


def sentences(count: int, shortest: int, longest: int, seed: int) -> list[Tensor]:
    """Distinct sentences with begin and end."""
    generator = torch.Generator().manual_seed(seed)
    words = VOCABULARY - 3
    successor = torch.randperm(words, generator=generator)
    found: dict[tuple[int, ...], Tensor] = {}
    while len(found) < count:
        tokens = torch.randint(words, (longest,), generator=generator)
        usual = torch.rand(longest, generator=generator) < 0.85
        for t in range(1, longest):
            tokens[t] = successor[tokens[t - 1]] if usual[t] else tokens[t]
        length = int(torch.randint(shortest, longest + 1, (), generator=generator))
        sentence = torch.cat([torch.tensor([BEGIN]), 3 + tokens[:length], torch.tensor([END])])
        found.setdefault(tuple(sentence.tolist()), sentence)
    return list(found.values())


def _samples() -> list[dict[str, Tensor]]:
    samples: list[dict[str, Tensor]] = []
    for sentence in sentences(parts.TRAIN + parts.VALID, 4, LENGTH - 2, seed=6):
        tokens = functional.pad(sentence, (0, LENGTH - len(sentence)), value=PAD)
        mask = (torch.arange(LENGTH) < len(sentence)).long()
        samples.append({"input_ids": tokens, "attention_mask": mask, "labels": tokens.masked_fill(mask == 0, IGNORED)})
    return samples
