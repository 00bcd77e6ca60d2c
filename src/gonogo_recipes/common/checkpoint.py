"""Checkpoints that survive a kill at any moment, and that run no code when they are read."""

import os
import pickle
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from gonogo.errors import SubjectError


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain data so that the file holds either all of the old content or all of the new."""
    replace(path, lambda file: torch.save(dict(content), file))


def read(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """What `write` wrote; tensors and plain data only, so that a foreign file cannot run code.

    Raises:
        SubjectError: The file is damaged, or holds more than data.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise SubjectError(
            f"{path}: not a checkpoint that can be read ({reason[0][:200]}); move it away to start anew"
        ) from None
    if not isinstance(content, dict):
        raise SubjectError(f"{path}: {type(content).__name__} was found; a checkpoint is a mapping of states")
    return content


def replace(path: Path, fill: Callable[[IO[bytes]], Any]) -> None:
    """Fill a file beside `path`, bring it to the disk, and put it in the place of `path` in one move."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        fill(file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name, too, must survive a loss of power
    finally:
        os.close(folder)


def generators() -> dict[str, Any]:
    """The states of the random generators of Python, NumPy and torch, as tensors and plain data."""
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "python": random.getstate(),
        "numpy": {"keys": torch.from_numpy(np.asarray(keys, np.int64)), "rest": (position, has_gauss, gauss)},
        "torch": torch.get_rng_state(),
        "cuda": cuda,
    }


def restore_generators(state: Mapping[str, Any]) -> None:
    """Put all generators where they were; those of accelerators only where there are as many as then."""
    random.setstate(state["python"])
    keys = state["numpy"]["keys"].cpu().numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, *state["numpy"]["rest"]))
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda"]])
