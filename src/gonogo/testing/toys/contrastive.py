"""Two towers that find each other's view of a sample among those of the batch: its samples depend on each other."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.session import evaluating
from gonogo.training.subject import Subject

CAUSES, SOUND, PICTURE, DIM = 6, 10, 12, 16
CONFIG = {"lr": 1e-2, "batch_size": parts.BATCH_SIZE, "dim": DIM, "temperature": 0.2}


class Towers(nn.Module):
    """One encoder per view, and a learned temperature."""

    def __init__(self) -> None:
        super().__init__()
        self.sound = nn.Sequential(nn.Linear(SOUND, 32), nn.GELU(), nn.Linear(32, DIM))
        self.picture = nn.Sequential(nn.Linear(PICTURE, 32), nn.GELU(), nn.Linear(32, DIM))
        self.scale = nn.Parameter(torch.tensor(1 / float(CONFIG["temperature"])).log())

    def forward(
        self, sound: Float[Tensor, "batch sound"], picture: Float[Tensor, "batch picture"]
    ) -> Float[Tensor, "batch batch"]:
        """Similarity of each sound to each picture of the batch."""
        one = functional.normalize(self.sound(sound), dim=-1)
        other = functional.normalize(self.picture(picture), dim=-1)
        return self.scale.exp() * one @ other.T


def contrastive() -> Subject:
    """Two synthetic views of the same few causes; there is no target but the place in the batch."""
    return Subject(
        name="toy contrastive towers",
        model=Towers,
        loss=_loss,
        optimizer=parts.adamw(float(CONFIG["lr"])),
        splits=parts.two_splits(_samples()),
        predict=_scores,
        evaluate=_evaluate,
        config=CONFIG,
        claims=Claims(parameters=1_825, couples_batch=True),
    )


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(13)
    causes = parts.normal(generator, parts.TRAIN + parts.VALID, CAUSES)
    views = {}
    for name, size in (("sound", SOUND), ("picture", PICTURE)):
        view = causes @ parts.normal(generator, CAUSES, size)
        views[name] = view + 0.1 * parts.normal(generator, len(causes), size)
    rows = zip(views["sound"], views["picture"], strict=True)
    return [{"sound": sound, "picture": picture} for sound, picture in rows]


def _scores(model: nn.Module, batch: Any) -> Tensor:
    return model(batch["sound"], batch["picture"])


def _loss(model: nn.Module, batch: Any) -> Tensor:
    scores = _scores(model, batch)
    places = torch.arange(len(scores))
    return (functional.cross_entropy(scores, places) + functional.cross_entropy(scores.T, places)) / 2


def _evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
    """How often the right picture of the batch is the nearest."""
    right = total = 0
    with evaluating(model), torch.no_grad():
        for batch in loader:
            scores = _scores(model, batch)
            right += int((scores.argmax(1) == torch.arange(len(scores))).sum())
            total += len(scores)
    return {"recall_at_1": right / total}
