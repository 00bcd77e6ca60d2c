"""Values that no model would answer to unnoticed, put where masks say that nothing is."""

from typing import Any

from torch import nn

from gonogo.instruments.streams.answers import Told, answer, change, finite
from gonogo.training.session import Session

POISONS = (float("nan"), 1e4, -1e4)


def poisoned(session: Session, model: nn.Module, declared: list[Told]) -> dict[str, list[str]]:
    """What reached an answer, by stream: all are poisoned together, and one by one only if anything is seen."""
    batch = _partly_absent(session, model, declared)
    base = answer(session, model, batch)
    caught: dict[str, list[str]] = {}
    for value in POISONS:
        if _seen(session, model, batch, declared, value, base):
            for one in declared:
                if len(declared) == 1 or _seen(session, model, batch, [one], value, base):
                    caught.setdefault(one.stream.name, []).append(f"{value:g}")
    return caught


def _seen(session: Session, model: nn.Module, batch: Any, those: list[Told], value: float, base: Any) -> bool:
    poisoned, there = batch, ~those[0].hidden
    for one in those:
        there = one.stream.there(batch)
        poisoned = one.stream.with_value(poisoned, ~there, value)
    return change(base, answer(session, model, poisoned), there) > 0


def _partly_absent(session: Session, model: nn.Module, declared: list[Told]) -> Any:
    """A batch with hidden steps, in which some samples lack a stream if the model takes that."""
    batch = declared[0].shorter
    for one in declared[1:]:
        batch = one.stream.with_there(batch, ~one.hidden)
    lacking = batch
    for index, one in enumerate(declared):
        there = one.stream.there(batch).clone()
        there[index :: len(declared) + 1] = False
        lacking = one.stream.with_there(lacking, there)
    try:
        return lacking if finite(answer(session, model, lacking)) else batch
    except Exception:  # no stream may be absent: then its hidden steps are all there is to ask about
        return batch
