"""A top-1 mixture of experts with a balance loss: in most batches some experts get no sample at all."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

CLASSES, FEATURES, EXPERTS, DIM = 3, 10, 5, 24
CONFIG = {"lr": 5e-3, "batch_size": parts.BATCH_SIZE, "experts": EXPERTS, "balance": 0.01}


class Mixture(nn.Module):
    """Each sample goes through one expert, weighted by its gate, so that the router learns too."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(FEATURES, EXPERTS, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(FEATURES, DIM), nn.ReLU(), nn.Linear(DIM, DIM)) for _ in range(EXPERTS)
        )
        self.shared = nn.Linear(FEATURES, DIM)
        self.head = nn.Linear(DIM, CLASSES)
        nn.init.normal_(self.head.weight, std=0.05)

    def forward(self, x: Float[Tensor, "batch feature"]) -> Float[Tensor, "batch class"]:
        """Logits."""
        gate, chosen = self.router(x).softmax(-1).max(-1)
        mixed = self.shared(x)
        for number in chosen.unique().tolist():
            rows = (chosen == number).nonzero().squeeze(1)
            mixed = mixed.index_add(0, rows, gate[rows, None] * self.experts[number](x[rows]))
        return self.head(torch.tanh(mixed))

    def balance(self, x: Float[Tensor, "batch feature"]) -> Tensor:
        """One if all experts get the same number of samples, and more the fewer they are (Switch Transformer)."""
        gates = self.router(x).softmax(-1)
        share = functional.one_hot(gates.argmax(-1), EXPERTS).float().mean(0)
        return EXPERTS * (share * gates.mean(0)).sum()


def mixture() -> Subject:
    """Synthetic clusters in ten features."""
    return Subject(
        name="toy mixture of experts",
        model=Mixture,
        loss=_loss,
        optimizer=parts.adamw(float(CONFIG["lr"])),
        splits=parts.two_splits(_samples()),
        predict=_logits,
        step=parts.own_step(_loss),
        evaluate=parts.accuracy(_logits, lambda batch: batch["label"]),
        config=CONFIG,
        claims=Claims(classes=CLASSES, parameters=4_709, target="label"),
    )


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(14)
    count = parts.TRAIN + parts.VALID
    centres = 2.0 * functional.pad(parts.normal(generator, CLASSES, 5), (0, FEATURES - 5))
    labels = torch.randint(CLASSES, (count,), generator=generator)
    features = centres[labels] + parts.normal(generator, count, FEATURES)
    return [{"features": x, "label": y} for x, y in zip(features, labels, strict=True)]


def _logits(model: nn.Module, batch: Any) -> Tensor:
    return model(batch["features"])


def _loss(model: Any, batch: Any) -> Tensor:
    prediction = functional.cross_entropy(_logits(model, batch), batch["label"])
    return prediction + float(CONFIG["balance"]) * model.balance(batch["features"])
