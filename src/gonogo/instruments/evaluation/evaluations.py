"""The run's own evaluation under observation: what it read, how it called the model, what it answered."""

import copy
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from numbers import Number
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.module import register_module_forward_pre_hook

from gonogo.errors import NotApplicable
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating

_CLOCKS = re.compile(r"(?i).*(time|seconds|secs?\b|latency|throughput|speed|_per_s|fps|memory|elapsed|duration).*")
_DIFFERENT = 1e-4  # relative; fused kernels of evaluation differ by 1e-6


@dataclass(slots=True)
class Evaluation:
    """What was seen of one call of the subject's evaluate function.

    Attributes:
        metrics: The finite and other numbers that it returned, by name.
        passes: Batches read from the given loader, for each time it was iterated.
        complete: The loader was read to its end in some pass.
        calls: Calls of the model itself (not of its parts).
        rows: Rows in what these calls were given.
        training, resting: Names of modules that were called in training mode, in evaluation mode.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    passes: list[int] = field(default_factory=list)
    complete: bool = False
    calls: int = 0
    rows: int = 0
    training: set[str] = field(default_factory=set)
    resting: set[str] = field(default_factory=set)


def evaluate(
    session: Session,
    model: nn.Module,
    *,
    loader: Any = None,
    limit: int | None = None,
    seed: int = 0,
    note: Callable[[Any], None] = lambda batch: None,
) -> Evaluation:
    """One call of the subject's evaluate function on valid, or on `loader`, under a seed.

    `limit` counts batches; `note` is told each batch before the evaluation gets it.
    """
    function = session.subject.evaluate
    if function is None:
        raise NotApplicable("the subject has no evaluate function")
    seen = Evaluation()
    with seeding.seeded(seeding.derive(session.seed, "evaluate", seed)):
        given = watched(session.loader("valid") if loader is None else loader, seen, session, limit, note)
        with calls_of(model, seen):
            seen.metrics = numbers(function(model, given))
    return seen


@contextmanager
def calls_of(model: nn.Module, seen: Evaluation) -> Iterator[None]:
    """Note each call of a module of `model`, without a hook on the model itself."""
    names = {id(module): name for name, module in model.named_modules()}

    def look(module: nn.Module, inputs: Any) -> None:
        name = names.get(id(module))
        if name is not None:
            seen.calls += name == ""
            seen.rows += (nested.size(inputs) or 0) if name == "" else 0
            (seen.training if module.training else seen.resting).add(name)

    handle = register_module_forward_pre_hook(look)
    try:
        yield
    finally:
        handle.remove()


def watched(loader: Any, seen: Evaluation, session: Session, limit: int | None, note: Callable[[Any], None]) -> Any:
    """The loader, noting what is read of it; of the same class, because user code may ask for its attributes.

    Under a limit it gives the same batches at every call, even if the loader shuffles.
    """
    kind: Any = type(loader)

    def batches(self: Any) -> Iterator[Any]:
        seen.passes.append(0)
        for batch in kind.__iter__(self) if limit is None else session.batches("valid", limit=limit):
            if time.monotonic() > session.deadline:
                raise NotApplicable("the evaluation takes longer than the check may last")
            seen.passes[-1] += 1
            note(batch)
            yield nested.to(batch, session.device)
        seen.complete = limit is None

    if kind in (list, tuple):
        return type(kind.__name__, (kind,), {"__iter__": batches})(loader)
    try:
        duplicate = copy.copy(loader)
        duplicate.__class__ = type(kind.__name__, (kind,), {"__iter__": batches})
        return duplicate
    except (TypeError, AttributeError):
        return _Watched(loader, batches)


class _Watched:
    """Stands in for a loader whose class cannot be extended."""

    def __init__(self, loader: Any, batches: Callable[[Any], Iterator[Any]]) -> None:
        self._loader, self._batches = loader, batches

    def __iter__(self) -> Iterator[Any]:
        return self._batches(self._loader)

    def __len__(self) -> int:
        return len(self._loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def numbers(returned: Any, path: str = "") -> dict[str, float]:
    """The numbers in what an evaluate function returned, by name; times and rates, which no seed repeats, left out."""
    if isinstance(returned, Mapping):
        parts = [numbers(value, f"{path}.{key}" if path else str(key)) for key, value in returned.items()]
        return {name: number for part in parts for name, number in part.items()}
    if isinstance(returned, tuple | list):
        return numbers({str(place): value for place, value in enumerate(returned)}, path)
    if _CLOCKS.fullmatch(path) or not (isinstance(returned, Number) or hasattr(returned, "item")):
        return {}
    try:
        return {path or "value": float(returned)}  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        return {}


def gap(one: float, two: float) -> float:
    """Relative difference of two numbers; 0 for two that are equally not finite, or both as good as zero."""
    if one == two or max(abs(one), abs(two)) < 1e-12 or (math.isnan(one) and math.isnan(two)):
        return 0.0
    return abs(one - two) / max(abs(one), abs(two)) if math.isfinite(one) and math.isfinite(two) else math.inf


def acts_by_mode(module: nn.Module) -> bool:
    """Is it a layer of torch that does another thing in training mode?"""
    if isinstance(module, _DropoutNd):
        return module.p > 0
    if isinstance(module, _NormBase):
        return module.track_running_stats
    if isinstance(module, nn.RNNBase):
        return module.dropout > 0 and module.num_layers > 1
    return isinstance(module, nn.RReLU) or (isinstance(module, nn.MultiheadAttention) and module.dropout > 0)


def where_mode_matters(session: Session, model: nn.Module, names: Iterable[str], batch: Any) -> list[str]:
    """Those of the named modules whose mode changes the answer; the model's own name is empty.

    Layers of torch are known. Of others it is tried: the same batch, once with these modules in training mode.
    """
    modules, names = dict(model.named_modules()), sorted(names)
    known = [name for name in names if acts_by_mode(modules[name])]
    return known or (names if names and _tried(session, model, names, batch) else [])


def _tried(session: Session, model: nn.Module, names: list[str], batch: Any) -> bool:
    try:
        duplicate = copy.deepcopy(model)
        with torch.no_grad(), evaluating(duplicate):
            plain, again = (_answer(session, duplicate, batch, seed) for seed in (1, 2))
            modules = dict(duplicate.named_modules())
            for name in names:
                modules[name].training = True
            other = _answer(session, duplicate, batch, 1)
    except Exception:  # a model that cannot be copied or asked tells nothing
        return False
    return not _differ(plain, again) and _differ(plain, other)


def _answer(session: Session, model: nn.Module, batch: Any, seed: int) -> dict[str, Tensor]:
    with seeding.seeded(seed):
        return session.outputs(nested.clone(batch), model)


def _differ(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    if one.keys() != two.keys() or any(one[path].shape != two[path].shape for path in one):
        return False
    for path, first in one.items():
        scale = float(first.abs().nan_to_num().max()) if first.numel() else 0.0
        if scale and float((first - two[path]).abs().nan_to_num().max()) > _DIFFERENT * scale:
            return True
    return False
