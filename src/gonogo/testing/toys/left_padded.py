"""A decoder-only language model on sentences padded on the left, as for generation: odd, but right."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.testing.toys import parts
from gonogo.testing.toys.padded_lm import IGNORED, LENGTH, PAD, sentences, subject_of
from gonogo.training.subject import Subject


def left_padded() -> Subject:
    """The sentences of padded_lm at the right end of the row; positions count from the first real token."""
    return subject_of("toy language model with left padding", _samples(), _logits)


def _samples() -> list[dict[str, Tensor]]:
    samples: list[dict[str, Tensor]] = []
    for sentence in sentences(parts.TRAIN + parts.VALID, 4, LENGTH - 2, seed=7):
        tokens = functional.pad(sentence, (LENGTH - len(sentence), 0), value=PAD)
        mask = (torch.arange(LENGTH) >= LENGTH - len(sentence)).long()
        labels = tokens.masked_fill(mask == 0, IGNORED)
        labels[LENGTH - len(sentence)] = IGNORED  # nothing real comes before the first token
        samples.append({"input_ids": tokens, "attention_mask": mask, "labels": labels})
    return samples


def _logits(model: nn.Module, batch: Any) -> Tensor:
    mask = batch["attention_mask"]
    return model(batch["input_ids"], mask, (mask.cumsum(1) - 1).clamp(min=0))
