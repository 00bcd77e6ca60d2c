"""One sample: the keys of a batch (see batch.py) without the first axis; samples drawn each from its own seed."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.data import Dataset

from gonogo.errors import SubjectError
from gonogo_recipes.maft.batch import GROUP, LABEL, SCORE, STREAMS, mask_key, time_key
from gonogo_recipes.maft.metrics import half_away

Sample = dict[str, Any]
Draw = Callable[[np.random.Generator], Sample]

SPLITS = ("train", "valid", "test")
BOUND = 3.0  # of the sentiment score
KEPT = 256 * 2**20  # bytes of drawn samples that are kept: drawing one costs as much as a small model's step on it


def label_of(score: float, num_classes: int) -> int:
    """The class of a score: positive or not; for an odd number of classes the nearest integer, halves away from zero.

    Raises:
        SubjectError: The number of classes is even and not 2.
    """
    if num_classes == 2:
        return int(score > 0)
    if num_classes % 2 == 0:
        raise SubjectError(f"num_classes {num_classes}: a score has 2 classes (its sign), or 3, 5 or 7 around 0")
    bound = num_classes // 2
    return int(half_away(np.array([score]), bound)[0]) + bound


def evenly(steps: int) -> Float[Tensor, " steps"]:
    """The times of equally long steps: their midpoints, as fractions of the clip."""
    return (torch.arange(steps, dtype=torch.float32) + 0.5) / max(steps, 1)


def sample(
    contents: Mapping[str, Tensor],
    score: float,
    num_classes: int,
    *,
    times: Mapping[str, Tensor] | None = None,
    masks: Mapping[str, Bool[Tensor, " l"]] | None = None,
    group: str | None = None,
) -> Sample:
    """A sample; steps that have no time are equally long, steps that have no mask are valid."""
    made: Sample = {LABEL: label_of(score, num_classes), SCORE: float(score)}
    for stream in STREAMS:
        steps = len(contents[stream])
        made[stream] = contents[stream]
        made[mask_key(stream)] = torch.ones(steps, dtype=torch.bool) if masks is None else masks[stream]
        made[time_key(stream)] = evenly(steps) if times is None else times[stream]
    return made if group is None else {**made, GROUP: group}


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Random numbers of their own for each use; the same in every process and in any order."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])


class Drawn(Dataset[Sample]):
    """Samples drawn when they are first read; sample i of a split depends on (seed, split, i) and on nothing else."""

    def __init__(self, draw: Draw, split: str, samples: int, seed: int) -> None:
        self._draw, self._split, self._samples, self._seed = draw, split, samples, seed
        self._kept: dict[int, Sample] = {}
        self._room = KEPT

    def __len__(self) -> int:
        return self._samples

    def __getitem__(self, index: int) -> Sample:
        if not -self._samples <= index < self._samples:
            raise IndexError(f"split {self._split!r} has {self._samples} samples; there is no sample {index}")
        index %= self._samples
        if index in self._kept:
            return dict(self._kept[index])
        drawn = self._draw(generator(self._seed, self._split, index))
        self._room -= sum(value.nbytes for value in drawn.values() if isinstance(value, Tensor))
        if self._room >= 0:
            self._kept[index] = drawn
        return dict(drawn)
