"""A run that went on, and the same run saved and loaded into a new instance: their states, part by part."""

import random
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gonogo.errors import NotApplicable
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, all_of

UPDATES = 3
ELSEWHERE = 977  # the seed of the process that resumes: another one, as in life


@dataclass(frozen=True, slots=True)
class Resumed:
    """`unbroken` was saved, `loaded` is new; `stored` is the file as far as it can be read without running it."""

    unbroken: OwnSteps
    loaded: OwnSteps
    stored: Any
    generators: tuple[str, ...]  # that training draws from and that loading did not put back


def resumed(session: Session) -> Resumed:
    """Some updates, then save and load by the run's own functions.

    Raises:
        NotApplicable: The step never updates, or nothing was saved.
    """
    unbroken, batches = OwnSteps(session), session.batches("train", limit=4)
    for _ in range(UPDATES):
        if not unbroken.until_update(batches):
            raise NotApplicable("the subject's step never called optimizer.step()")
    with tempfile.TemporaryDirectory(prefix="gonogo-") as folder:
        with seeding.seeded(session.seed):
            drawn = _generators()
            session.step(nested.clone(batches[0]), *_spare(session))
            used = [name for name, state in _generators().items() if state != drawn[name]]
        with seeding.seeded(session.seed + 1):
            saved = _generators()
            path = session.save(unbroken.model, unbroken.optimizer, Path(folder))
        with seeding.seeded(ELSEWHERE):
            loaded = OwnSteps(session)
            session.subject._given("load")(path, loaded.model, loaded.optimizer)
            lost = tuple(name for name in used if _generators()[name] != saved[name])
        stored = read(path)
    loaded.calls = unbroken.calls
    return Resumed(unbroken, loaded, stored, lost)


def _spare(session: Session) -> tuple[nn.Module, Any]:
    model = session.build_model()
    return model, session.build_optimizer(model)


def _generators() -> dict[str, str]:
    found = {"Python": repr(random.getstate()), "NumPy": repr(np.random.get_state())}
    return found | {"torch": repr(torch.get_rng_state().tolist())}


def read(path: Path) -> Any:
    """What the file holds; None if torch cannot read it.

    The run's own save has just written it, so there is nothing in it that its own load would not run.
    """
    try:
        return torch.load(path, weights_only=False, map_location="cpu")
    except Exception:  # files of any kind: other formats, folders
        return None


def tensors_of_model(model: nn.Module) -> dict[str, Tensor]:
    """All weights and buffers, those that the model leaves out of its state too."""
    return dict(model.state_dict()) | dict(model.named_parameters()) | dict(model.named_buffers())


def numbers(state: Any) -> dict[str, Any]:
    """The tensors and numbers of a nested state by path."""
    return {path: leaf for path, leaf in nested.walk(state) if nested.is_numeric(leaf) or _is_number(leaf)}


def state_of(optimizer: Any) -> dict[str, Any]:
    """What optimizers remember of their steps (moments, counters), by path."""
    states = enumerate(all_of(optimizer))
    return {
        f"{i}.{path}": leaf for i, one in states for path, leaf in numbers(one.state_dict().get("state", {})).items()
    }


def differing(one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """(path, relative difference) of all that is not the same in both; inf where it is missing in one."""
    for path in one:
        gap = _gap(one[path], two[path]) if path in two else float("inf")
        if gap:
            yield path, gap


def _gap(one: Any, two: Any) -> float:
    first, second = (torch.as_tensor(value).detach().cpu() for value in (one, two))
    if first.shape != second.shape:
        return float("inf")
    if first.numel() == 0 or torch.equal(first, second):
        return 0.0
    a, b = first.double(), second.double()
    scale = float(a.abs().max())
    gap = float((a - b).abs().nan_to_num(nan=float("inf")).max())
    return gap / scale if scale else float("inf")


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, int | float) and not isinstance(leaf, bool)
