"""A classifier of feature vectors from several speakers."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.subject import Split, Subject

CLASSES, FEATURES, PER_SPEAKER = 4, 12, 8
CONFIG = {"optimizer": {"lr": 3e-3, "weight_decay": 0.0}, "batch_size": parts.BATCH_SIZE, "hidden": 64, "epochs": 10}


def classifier() -> Subject:
    """Synthetic clusters, one per class, shifted a little per speaker; no speaker is in both splits."""
    samples = _samples()
    return Subject(
        name="toy classifier",
        model=_model,
        loss=_loss,
        optimizer=parts.adamw(CONFIG["optimizer"]["lr"]),
        splits={
            "train": _split(samples[: parts.TRAIN], shuffle=True),
            "valid": _split(samples[parts.TRAIN :], shuffle=False),
        },
        predict=_logits,
        evaluate=parts.accuracy(_logits, lambda batch: batch["label"]),
        config=CONFIG,
        claims=Claims(classes=CLASSES, parameters=5_252, group_key="speaker", target="label"),
    )


def _samples() -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(1)
    count = parts.TRAIN + parts.VALID
    centres = 1.5 * parts.normal(generator, CLASSES, FEATURES)
    voices = 0.3 * parts.normal(generator, count // PER_SPEAKER, FEATURES)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    speakers = torch.arange(count) // PER_SPEAKER
    features = centres[labels] + voices[speakers] + 0.5 * parts.normal(generator, count, FEATURES)
    rows = zip(features, labels, speakers.tolist(), strict=True)
    return [{"features": x, "label": y, "speaker": speaker} for x, y, speaker in rows]


def _split(samples: list[dict[str, Any]], shuffle: bool) -> Split:
    return Split(
        lambda: DataLoader(parts.Rows(samples), parts.BATCH_SIZE, shuffle=shuffle),
        groups=lambda: [sample["speaker"] for sample in samples],
    )


def _model() -> nn.Module:
    hidden = CONFIG["hidden"]
    return nn.Sequential(
        nn.Linear(FEATURES, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, CLASSES)
    )


def _logits(model: nn.Module, batch: Any) -> Tensor:
    return model(batch["features"])


def _loss(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(_logits(model, batch), batch["label"])
