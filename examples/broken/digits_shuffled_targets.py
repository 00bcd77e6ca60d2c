"""Mistake: the images are read in order, the labels through an order drawn anew at each access.

Caught by data.index-determinism; one batch cannot be fitted either, for its labels change from pass to pass.
"""

from dataclasses import replace
from functools import partial

import torch
from healthy import digits
from torch import Tensor

from gonogo import Subject


class ShuffledTargets(digits.Digits):
    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, _ = super().__getitem__(index)
        order = torch.randperm(len(self))  # should be drawn once, for images and labels alike
        return image, self.labels[order[index]]


def subject() -> Subject:
    train_part, _ = digits.load_splits()
    shuffled = ShuffledTargets(train_part.images, train_part.labels)
    healthy = digits.subject()
    return replace(healthy, splits={**healthy.splits, "train": partial(digits.train_loader, shuffled)})
