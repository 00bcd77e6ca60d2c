"""A criterion that reads a constant decides nothing."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.evaluation import evaluations
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_NUMBERS = ("item", "__float__", "__int__", "__index__", "tolist")
_OTHER_WAYS = ("__bool__", "numpy", "__array__", "__contains__", "__format__", "equal", "allclose", "is_nonzero")


_NAMES = "epochs?|steps?|iter[a-z]*|lr|learning_rate|n|num|count|samples|size|stage|total"
_COUNTERS = re.compile(rf"(?i)(^|[^a-z])({_NAMES})([^a-z]|$)")
_CHANGES = ((1.37, 100.0), (1.37, 3.0), (0.61, -3.0), (0.61, -100.0), (1.37, 1.0))  # factor, more


@check(
    needs={C.MODEL, C.VALID, C.EVALUATE},
    effort=Effort.FIT,
    after=("evaluation.state",),
    criteria=[at_most("constants", fail=0, source="exact: no number of a tensor has any influence on it")],
    since="0.2",
)
def criterion(session: Session, *, limit: int = 8) -> Observation:
    """The criterion reads what was measured | The criterion reads a constant

    What: notes which numbers of evaluate() the subject's own `criterion(metrics)` reads, and calls evaluate() again
        with every number that leaves a tensor (item, float, tolist) larger or smaller, by little and by much.
        `constants` counts the numbers that the criterion reads and that stay bit for bit each time, while others move.
        Counters, rates of learning and sizes, by their names, are no measurements and left alone.
    Why: `efficiency = 0.0` waits to be written, and the curriculum waits for ever to move on, or moves on at once. The
        log shows a number as if it had been measured.
    Fix: compute the number from the model's answers, or take it out of the criterion.
    Shapes: any.
    Units: constants: {number} (n: numbers that the criterion reads).
    Source: ours: a curriculum whose stages waited for a rate that was a constant zero.
    """
    decide = session.subject.parts(session.model).get("criterion") if session.subject.parts else None
    if not callable(decide):
        raise NotApplicable("the subject has no criterion of its own that reads the metrics")
    plain = evaluations.evaluate(session, session.model, limit=limit).metrics
    read = [name for name in sorted(_read(decide, plain) & plain.keys()) if not _COUNTERS.search(name)]
    if not read:
        raise NotApplicable("the criterion reads none of the numbers that evaluate returns as measurements")
    moved = [_moved(session, limit, *change) for change in _CHANGES]
    seen = [one for one in moved if one is not None]
    still = [name for name in plain if all(one.get(name) == plain[name] for one in seen)]
    if moved[0] is None or len(seen) < 2 or len(still) == len(plain):
        raise NotApplicable("how the numbers come out of the tensors cannot be followed")
    constants = [name for name in read if name in still]
    rows = tuple((name, plain[name], seen[0].get(name)) for name in read)
    return Observation(
        {"constants": Measurement(len(constants), "{number}", n=len(read))},
        (Table("What the criterion reads", ("number", "measured", "with all that is measured larger"), rows),),
    )


def _moved(session: Session, limit: int, factor: float, more: float) -> dict[str, float] | None:
    """The metrics under a change of all numbers; None if the program cannot go on with them, or has other ways."""
    try:
        with _Changed(factor, more) as change:
            found = evaluations.evaluate(session, session.model, limit=limit).metrics
    except (ArithmeticError, ValueError, LookupError, RuntimeError, TypeError):
        return None
    return None if change.unseen else found


class _Noting(dict[str, float]):
    """Metrics that know which of them were read."""

    def __init__(self, metrics: Mapping[str, float]) -> None:
        super().__init__(metrics)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> float:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)


def _read(decide: Callable[..., Any], metrics: Mapping[str, float]) -> set[str]:
    noting = _Noting(metrics)
    try:
        decide(noting)
    except Exception as error:  # a criterion of another form, or of other metrics than those of evaluate
        raise NotApplicable(f"the criterion cannot be asked with the metrics alone ({type(error).__name__})") from None
    return noting.read


class _Changed(TorchFunctionMode):
    """Numbers that leave tensors are others; ways out that cannot be changed are noted in `unseen`."""

    def __init__(self, factor: float, more: float) -> None:
        super().__init__()
        self.factor, self.more, self.unseen = factor, more, False

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, out = getattr(func, "__name__", ""), func(*args, **(kwargs or {}))
        self.unseen = self.unseen or name in _OTHER_WAYS
        return self.other(out) if name in _NUMBERS and isinstance(args[0], Tensor) else out

    def other(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.other(one) for one in value]
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        return value + round(self.more) if isinstance(value, int) else self.factor * value + self.more


@fault(toy="regressor")
def a_rate_that_is_written_down(subject: Subject) -> Subject:
    """The criterion waits for a rate that is a constant in evaluate."""
    inner: Any = subject.evaluate

    def evaluate(model: nn.Module, loader: Iterable[Any]) -> Mapping[str, float]:
        with torch.no_grad():
            size = sum(parameter.square().sum().item() for parameter in model.parameters())
        return {**inner(model, loader), "size": size, "rate": 0.0}

    parts = subject.parts or (lambda model: {})
    return replace(
        subject,
        evaluate=evaluate,
        parts=lambda model: {**parts(model), "criterion": lambda metrics: metrics["rate"] > 0.2},
    )
