"""Checkpoints: what is written and read, and weights that are kept as the best but go on changing."""

import functools
import itertools
import os
import sys
import time
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.watch.patch import Undo, quietly, tap
from gonogo.watch.tracer import Tracer

FEW = 8  # of many things of one kind, so many are looked at
DEPTH = 30  # frames of the script that are looked at
TICK = 1.0  # second: the clock of a file system may be coarse, and behind that of the process


def install(tracer: Tracer) -> list[Undo]:
    """See torch.save and torch.load, and look for kept weights after each evaluation."""
    kept = _Kept(tracer)
    tracer.on_step.append(kept.look)
    return [
        tap(tracer, torch, "save", before=functools.partial(_saving, tracer)),
        tap(tracer, torch, "load", after=lambda found, *_, **__: _told(tracer, "load", found)),
        tap(tracer, nn.Module, "load_state_dict", before=kept.restored),
    ]


@quietly
def _saving(tracer: Tracer, obj: Any, f: Any = None, *_: Any, **__: Any) -> None:
    _told(tracer, "save", obj, **({"over": os.fspath(f)} if _was_there(tracer, f) else {}))


def _was_there(tracer: Tracer, file: Any) -> bool:
    """Is this a file from before the script began, which it is about to write over?"""
    if not isinstance(file, str | os.PathLike) or not os.path.isfile(file):  # noqa: PTH113
        return False
    began = time.time() - (time.perf_counter() - tracer.started) - TICK
    return os.path.getmtime(file) < began  # noqa: PTH204


@quietly
def _told(tracer: Tracer, kind: str, thing: Any, **more: str) -> None:
    entries = {str(key): content(value) for key, value in list(thing.items())[:40]} if _is_mapping(thing) else {}
    for name in [name for name, held in entries.items() if held == "mapping"]:  # the state of a loop, say
        inside = list(thing.get(name, {}).items())[:40]
        entries |= {f"{name}.{key}": "int" for key, value in inside if type(value) is int}
    tracer.emit(kind, holds=content(thing), entries=entries, **more)


def _is_mapping(thing: Any) -> bool:
    return isinstance(thing, Mapping)


def content(thing: Any) -> str:
    """What an entry of a checkpoint is, told by its form."""
    if isinstance(thing, nn.Module):
        return "module"
    if isinstance(thing, Mapping):
        return _mapping(thing)
    if isinstance(thing, Tensor) and thing.dtype is torch.uint8 and thing.ndim == 1 and thing.numel() > 1000:
        return "random state"
    return _alike(thing) or type(thing).__name__


def _alike(things: Any) -> str:
    """What each of several is, such as the state_dicts of several optimizers; nothing where they differ."""
    first = list(itertools.islice(things, FEW)) if isinstance(things, list | tuple) else []
    kinds = {content(one) for one in first}
    return kinds.pop() if len(kinds) == 1 else ""


def _mapping(thing: Mapping[Any, Any]) -> str:
    if {"state", "param_groups"} <= set(thing):
        return "optimizer"
    if "last_epoch" in thing or "_schedulers" in thing:
        return "scheduler"
    if {"scale", "growth_factor"} <= set(thing):
        return "scaler"
    if not thing and hasattr(thing, "_metadata"):  # the mark of Module.state_dict()
        return "no weights"
    if thing and all(isinstance(value, Tensor) for value in thing.values()):
        return "weights"
    inside = _alike(list(itertools.islice(thing.values(), FEW)))
    return inside if inside in ("optimizer", "scheduler") else "mapping"


class _Kept:
    """Weights under a name such as best_state that share their memory with the weights in training."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.seen: dict[tuple[str, int], int] = {}
        self.numbers: dict[tuple[str, int], float] = {}
        self.told: set[str] = set()

    @quietly
    def look(self) -> None:
        """Find such names in the script's frames."""
        if not self.tracer.evaluated and not self.seen and self.tracer.steps > 1:
            return
        named = []
        for place, name, thing in _named_best(sys._getframe(1)):
            if isinstance(thing, float | int) and not isinstance(thing, bool):
                self._follow(place, name, float(thing))
            else:
                named.append((name, thing))
        models = self.tracer.all_of("model") if named else []
        live = {p.data_ptr() for _, model in models for p in model.parameters() if p.numel()}
        groups = [group for _, optimizer in self.tracer.all_of("optimizer") for group in optimizer.param_groups]
        alone = _without_siblings([model for _, model in models], {id(p) for group in groups for p in group["params"]})
        for name, thing in named:
            if not _shares(thing, live, alone):
                continue
            first = self.seen.setdefault((name, id(thing)), self.tracer.steps)
            if self.tracer.steps > first and name not in self.told:
                self.told.add(name)
                self.tracer.emit("best", name=name, since=first, holds=content(thing))
        self.tracer.evaluated = False

    def _follow(self, place: int, name: str, value: float) -> None:
        """Tell of a number when it changes."""
        if self.numbers.get((name, place)) != value and value == value:
            self.numbers[name, place] = value
            finite = value if abs(value) != float("inf") else str(value)
            self.tracer.emit("best_number", name=name, place=place, value=finite)

    @quietly
    def restored(self, model: nn.Module, state_dict: Any, *_: Any, **__: Any) -> None:
        """Tell of weights that are loaded onto themselves."""
        mine = {name: p.data_ptr() for name, p in model.named_parameters() if p.numel()}
        if not mine or not _is_mapping(state_dict):
            return
        found = {name: t.data_ptr() for name, t in state_dict.items() if isinstance(t, Tensor)}
        same = [name for name, at in mine.items() if found.get(name) == at]
        if len(same) == len(mine):
            self.tracer.emit("onto_itself", parameters=len(same))


def _named_best(frame: FrameType | None) -> Iterator[tuple[int, str, Any]]:
    """(frame or object, name, value) of what is called the best."""
    depth = 0
    while frame is not None and depth < DEPTH:
        depth += 1
        if str(frame.f_globals.get("__name__")).split(".")[0] not in ("torch", "gonogo"):
            for name, thing in list(frame.f_locals.items()):
                if "best" in name.lower():
                    yield id(frame), name, thing
                if name == "self":
                    for inner, kept in list(getattr(thing, "__dict__", {}).items()):
                        if "best" in inner.lower():
                            yield id(thing), f"self.{inner}", kept
        frame = frame.f_back


def _without_siblings(models: list[nn.Module], held: set[int]) -> set[int]:
    """The ids of models beside which no other of equal shapes is trained: of several, a script may name the best."""
    weights = {id(model): list(model.parameters()) for model in models}
    trained = {tuple(map(id, ps)): [p.shape for p in ps] for ps in weights.values() if any(id(p) in held for p in ps)}
    shapes = list(trained.values())
    return {number for number, ps in weights.items() if shapes.count([p.shape for p in ps]) < 2}


def _shares(thing: Any, live: set[int], models: set[int]) -> bool:
    if isinstance(thing, nn.Module):
        return id(thing) in models
    if not _is_mapping(thing):
        return False
    tensors = [value for value in thing.values() if isinstance(value, Tensor) and value.numel()]
    if not tensors:
        inner = [value for value in thing.values() if _is_mapping(value)]
        return any(_shares(value, live, models) for value in inner)
    return sum(tensor.data_ptr() in live for tensor in tensors) > len(tensors) / 2
