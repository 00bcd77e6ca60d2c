"""Steps of a run while the machine is watched: what they take, and whether each leaves something behind."""

import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import torch

from gonogo.instruments.machine.sampling import Sampler
from gonogo.instruments.step.training_steps import cycled
from gonogo.training import batch as nested
from gonogo.training.session import Session

BLOCKS = 5  # of the steps; the first is warm-up
FEWEST = 15  # steps, else growth is not asked
BATCHES = 4  # in turn: the memory for each is there after the first round


@dataclass(frozen=True, slots=True)
class Use:
    """What some steps took.

    Attributes:
        sampler: The snapshots.
        held: Memory after each step, bytes: of the device if there is one, else of the process.
        seconds: Each step took.
        before: Memory of the process before the first step.
    """

    sampler: Sampler
    held: tuple[int, ...]
    seconds: tuple[float, ...]
    before: int

    @property
    def step(self) -> float:
        """Median seconds of a step after the warm-up."""
        return statistics.median(self.seconds[len(self.seconds) // BLOCKS :])


def use(session: Session, steps: int, seconds: float, every: float) -> Use:
    """Up to `steps` steps, five at least, of the session's own model under a sampler."""
    process = psutil.Process()
    before = process.memory_info().rss
    held: list[int] = []
    took: list[float] = []
    batches = cycled(session, min(steps, BATCHES))
    end = session.seconds_left - seconds
    with Sampler(every=every) as sampler:
        while len(held) < steps and (len(held) < BLOCKS or session.seconds_left > end):
            begun = time.perf_counter()
            session.step(nested.clone(batches[len(held) % len(batches)]))
            on_device = session.device.type == "cuda"
            held.append(torch.cuda.memory_allocated() if on_device else process.memory_info().rss)
            took.append(time.perf_counter() - begun)
    return Use(sampler, tuple(held), tuple(took), before)


def growth(held: Sequence[int]) -> float | None:
    """Bytes that every step leaves behind: the least of the slopes from block to block after the warm-up.

    A leak grows in each of them; caches, allocators and cyclic garbage do in some. None with too few steps.
    """
    if len(held) < FEWEST:
        return None
    size = len(held) // BLOCKS
    blocks = [statistics.median(held[place * size : (place + 1) * size]) for place in range(1, BLOCKS)]
    return max(0.0, min((two - one) / size for one, two in itertools.pairwise(blocks)))
