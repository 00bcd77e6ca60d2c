"""Steps whose real peaks on a card are known, as programs: see README.md for where the figures come from."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from written_out import AdamW, LanguageModel, cross_entropy

VOCABULARY, ROWS = 10_000, 4
# (length, kind): peak allocated and reserved of the real step, MiB.
TRUTHS = {
    (128, "inference"): (1658.4, 1682),
    (128, "training"): (6701.1, 6900),
    (256, "inference"): (1712.6, 1778),
    (256, "training"): (8691.2, 8836),
    (512, "inference"): (1860.9, 1890),
    (512, "training"): (11858.5, 12074),
    (1024, "inference"): (2746.0, 3056),
    (1024, "training"): (23092.2, 24012),
}
AUTOCAST = frozenset({(512, "inference"), (512, "training"), (1024, "training")})


@dataclass(frozen=True, slots=True)
class Case:
    """One known step; sizes in MiB."""

    length: int
    kind: str
    allocated: float
    reserved: float

    @property
    def name(self) -> str:
        return f"{self.kind} at {self.length}" + (" (bf16 autocast)" if self.autocast else "")

    @property
    def autocast(self) -> bool:
        return (self.length, self.kind) in AUTOCAST

    def parts(self, device: str) -> tuple[nn.Module, Any, tuple[torch.Tensor, torch.Tensor]]:
        """Model, optimizer (None for inference) and batch on a device."""
        with torch.device(device):
            model = LanguageModel(self.length)
            tokens, targets = (torch.randint(0, VOCABULARY, (ROWS, self.length)) for _ in range(2))
        return model, AdamW(model.parameters()) if self.kind == "training" else None, (tokens, targets)

    def stepping(self, model: nn.Module, optimizer: Any, batch: Any, device: str) -> Callable[[], None]:
        """What one step does."""

        def context() -> Any:
            return torch.autocast(device, dtype=torch.bfloat16) if self.autocast else contextlib.nullcontext()

        def train() -> None:
            optimizer.zero_grad()
            with context():
                loss = cross_entropy(model(batch[0]), batch[1])
            loss.backward()
            optimizer.step()

        def infer() -> None:
            with torch.inference_mode(), context():
                model(batch[0])

        return train if optimizer else infer


CASES = tuple(Case(length, kind, *truth) for (length, kind), truth in TRUTHS.items())
