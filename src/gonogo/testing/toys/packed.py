"""A decoder-only language model on rows of two packed sentences that must not see each other."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.testing.toys import parts
from gonogo.testing.toys.padded_lm import IGNORED, LENGTH, sentences, subject_of
from gonogo.training.subject import Subject


def packed() -> Subject:
    """Two sentences fill a row; positions restart, and the begin and the first word of a sentence are no targets."""
    subject = subject_of("toy language model on packed rows", _samples(), _logits)
    return replace(subject, claims=replace(subject.claims, pad_id=None, packing="isolated"))


def _samples() -> list[dict[str, Tensor]]:
    count = parts.TRAIN + parts.VALID
    by_length: dict[int, list[Tensor]] = {}
    for sentence in sentences(6 * count, 2, LENGTH - 6, seed=9):
        by_length.setdefault(len(sentence), []).append(sentence)
    samples: list[dict[str, Tensor]] = []
    while len(samples) < count:
        first = 5 + len(samples) % 3
        pair = [by_length[first].pop(), by_length[LENGTH - first].pop()]
        positions = torch.cat([torch.arange(len(sentence)) for sentence in pair])
        tokens = torch.cat(pair)
        labels = tokens.masked_fill(positions <= 1, IGNORED)
        segments = (positions == 0).long().cumsum(0)
        samples.append({"input_ids": tokens, "position_ids": positions, "segment_ids": segments, "labels": labels})
    return samples


def _logits(model: nn.Module, batch: Any) -> Tensor:
    tokens = batch["input_ids"]
    return model(tokens, torch.ones_like(tokens), batch["position_ids"], batch["segment_ids"])
