"""Three streams of different lengths, padded per batch, fused into one decision."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from gonogo.testing.toys import parts
from gonogo.testing.toys import parts_of_streams as streams
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

STREAMS = {"audio": 6, "vision": 5, "text": 7}  # features per time step
CLASSES, DIM = 3, 24
CONFIG = {"lr": 5e-3, "batch_size": parts.BATCH_SIZE, "dim": DIM, "dropout": 0.1, "streams": list(STREAMS)}


class Fusion(nn.Module):
    """Each stream is averaged over its real time steps; the three summaries decide together."""

    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({name: nn.Linear(size, DIM) for name, size in STREAMS.items()})
        self.head = nn.Sequential(
            nn.Linear(len(STREAMS) * DIM, 2 * DIM), nn.GELU(), nn.Dropout(0.1), nn.Linear(2 * DIM, CLASSES)
        )

    def forward(self, batch: dict[str, Tensor]) -> Float[Tensor, "batch class"]:
        """Logits."""
        summaries = [self._summary(name, batch[name], batch[f"{name}_mask"]) for name in STREAMS]
        return self.head(torch.cat(summaries, -1))

    def _summary(
        self, name: str, x: Float[Tensor, "batch time feature"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, "batch dim"]:
        real = mask.unsqueeze(-1)
        # Padding is replaced, not multiplied by zero: 0 * nan is nan.
        hidden = functional.gelu(self.encoders[name](x.masked_fill(~real, 0.0)))
        return hidden.masked_fill(~real, 0.0).sum(1) / real.sum(1)


def multimodal() -> Subject:
    """Synthetic streams of random lengths: the class is the stream with the strongest signal, so all are needed."""
    return Subject(
        name="toy multimodal classifier",
        model=Fusion,
        loss=streams.loss,
        optimizer=parts.adamw(CONFIG["lr"]),
        splits=parts.two_splits(_samples(), streams.padded(STREAMS)),
        predict=streams.logits,
        evaluate=parts.accuracy(streams.logits, lambda batch: batch["label"]),
        config=CONFIG,
        claims=Claims(classes=CLASSES, parameters=4_155, target="label"),
    )


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    samples: list[dict[str, Tensor]] = []
    for _ in range(parts.TRAIN + parts.VALID):
        strengths = parts.normal(generator, len(STREAMS))
        sample = {"label": strengths.argmax()}
        for (name, size), strength in zip(STREAMS.items(), strengths, strict=True):
            length = int(torch.randint(3, 8, (), generator=generator))
            sample[name] = strength + 0.3 * parts.normal(generator, length, size)
        samples.append(sample)
    return samples
