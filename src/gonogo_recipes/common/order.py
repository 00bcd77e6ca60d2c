"""The order of samples in each epoch, which can be entered in the middle."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from gonogo.training.seeding import derive


class EpochOrder(Sampler[int]):
    """Indices in an order that follows from seed and epoch alone; each pass is the next epoch.

    Attributes:
        epoch: The epoch of the next pass.
        start: Samples that the next pass leaves out, because they were seen before training was interrupted.
    """

    shuffle = True  # as DistributedSampler says it: the order is meant to differ between epochs

    def __init__(self, length: int, seed: int) -> None:
        self._length, self._seed = length, seed
        self.epoch, self.start = 0, 0

    def __iter__(self) -> Iterator[int]:
        draw = torch.Generator().manual_seed(derive(self._seed, "order", self.epoch))
        left = torch.randperm(self._length, generator=draw)[self.start :]
        self.epoch, self.start = self.epoch + 1, 0
        return iter(left.tolist())

    def __len__(self) -> int:
        return self._length

    def go_to(self, epoch: int, start: int) -> None:
        """Let the next pass be that of `epoch`, without its first `start` samples."""
        self.epoch, self.start = epoch, start
