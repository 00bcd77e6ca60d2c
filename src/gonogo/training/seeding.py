"""Seeds and determinism as context managers that put everything back."""

import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive(seed: int, *names: object) -> int:
    """A seed of its own for each use, the same in every process (Python's own hash is not)."""
    return (seed * 1_000_003 + zlib.crc32(repr(names).encode())) % 2**31


def seed_all(seed: int) -> None:
    """Seed Python, NumPy and torch on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run under a seed, then restore all generators."""
    before = rng_state()
    try:
        seed_all(seed)
        yield
    finally:
        restore_rng(before)


def rng_state() -> tuple[object, ...]:
    """The state of every global generator."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda


def restore_rng(state: tuple[object, ...]) -> None:
    """Undo everything drawn since `rng_state`."""
    python, numpy, cpu, cuda = state
    random.setstate(python)  # type: ignore[arg-type]
    np.random.set_state(numpy)  # type: ignore[arg-type]
    torch.set_rng_state(cpu)  # type: ignore[arg-type]
    if cuda:
        torch.cuda.set_rng_state_all(cuda)  # type: ignore[arg-type]


@contextmanager
def deterministic() -> Iterator[None]:
    """Ask torch for deterministic kernels where it has them, then restore the switches."""
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    flags = cudnn.deterministic, cudnn.benchmark
    try:
        torch.use_deterministic_algorithms(True, warn_only=True)
        cudnn.deterministic, cudnn.benchmark = True, False
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark = flags
