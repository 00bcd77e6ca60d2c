"""Three streams that attend to each other; any of them may be absent, and is dropped now and then in training."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from gonogo.testing.toys import parts
from gonogo.testing.toys import parts_of_streams as streams
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

STREAMS = {"audio": 6, "vision": 5, "text": 12}  # features per time step; of the text: words
CLASSES, DIM, LONGEST, ABSENT = 3, 16, 64, 0.1
CONFIG = {"lr": 5e-3, "batch_size": parts.BATCH_SIZE, "dim": DIM, "modality_dropout": 0.2}


class AttentionFusion(nn.Module):
    """A token of its own reads all steps that are there; where a step stands is counted within its stream."""

    def __init__(self) -> None:
        super().__init__()
        self.modality_dropout = float(CONFIG["modality_dropout"])
        self.inputs = nn.ModuleDict(
            {
                name: nn.Embedding(size, DIM) if name == "text" else nn.Linear(size, DIM)
                for name, size in STREAMS.items()
            }
        )
        self.summary = nn.Parameter(0.5 * torch.randn(DIM))
        self.kinds = nn.Embedding(len(STREAMS), DIM)
        self.register_buffer("places", _sines(LONGEST, DIM), persistent=False)
        self.attention, self.layers = parts.Attention(DIM), parts.FeedForward(DIM)
        self.head = nn.Sequential(nn.LayerNorm(DIM), nn.Linear(DIM, CLASSES))

    def forward(self, batch: dict[str, Tensor]) -> Float[Tensor, "batch class"]:
        """Logits."""
        there = self._dropped({name: batch[f"{name}_mask"] for name in STREAMS})
        steps = [self._steps(index, name, batch[name], there[name]) for index, name in enumerate(STREAMS)]
        summary = self.summary.expand(len(steps[0]), 1, -1)
        seen = torch.cat([there[name] for name in STREAMS], 1)
        seen = functional.pad(seen, (1, 0), value=True)[:, None, None]
        tokens = torch.cat([summary, *steps], 1)
        return self.head(self.layers(self.attention(tokens[:, :1], self.attention.norm(tokens), seen))[:, 0])

    def _steps(
        self, index: int, name: str, x: Tensor, there: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time dim"]:
        # What is not there is replaced, not multiplied by zero: 0 * nan is nan.
        x = x.masked_fill(~(there if x.dim() == 2 else there.unsqueeze(-1)), 0)
        places: Any = self.places
        return self.inputs[name](x) + self.kinds.weight[index] + places[: x.shape[1]]

    def _dropped(self, there: dict[str, Tensor]) -> dict[str, Tensor]:
        """Each stream that is there is dropped by chance; of a sample that would lose all, none is."""
        if not self.training:
            return there
        present = torch.stack([one.any(1) for one in there.values()], 1)
        kept = present & (torch.rand(present.shape, device=present.device) >= self.modality_dropout)
        kept = torch.where(kept.any(1, keepdim=True), kept, present)
        return {name: one & kept[:, index, None] for index, (name, one) in enumerate(there.items())}


def multimodal_attention() -> Subject:
    """Synthetic streams of random lengths; each that is there shows the same class."""
    return Subject(
        name="toy multimodal attention",
        model=AttentionFusion,
        loss=streams.loss,
        optimizer=parts.adamw(CONFIG["lr"]),
        splits=parts.two_splits(_samples(), streams.padded(STREAMS)),
        predict=streams.logits,
        evaluate=parts.accuracy(streams.logits, lambda batch: batch["label"]),
        config=CONFIG,
        claims=Claims(
            classes=CLASSES,
            parameters=2_739,
            target="label",
            modalities=tuple(STREAMS),
            masks={name: f"{name}_mask" for name in STREAMS},
            bottleneck="attention",
        ),
    )


def _sines(length: int, dim: int) -> Float[Tensor, "place dim"]:
    angles = torch.arange(length).unsqueeze(1) * torch.logspace(0, -2, dim // 2)
    return 0.3 * torch.cat([angles.sin(), angles.cos()], 1)


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(11)
    shown = {name: 1.5 * parts.normal(generator, CLASSES, size) for name, size in STREAMS.items()}
    return [_sample(shown, generator) for _ in range(parts.TRAIN + parts.VALID)]


def _sample(shown: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    label = torch.randint(CLASSES, (), generator=generator)
    absent = int(torch.randint(len(STREAMS), (), generator=generator))
    absent = absent if float(torch.rand((), generator=generator)) < ABSENT else -1
    sample = {"label": label}
    for index, (name, size) in enumerate(STREAMS.items()):
        length = 0 if index == absent else int(torch.randint(3, 8, (), generator=generator))
        scores = shown[name][label] + parts.normal(generator, length, size)
        sample[name] = scores.argmax(-1) if name == "text" else scores
    return sample
