"""Lines that no run can come to."""

import ast
import itertools
from collections.abc import Iterator
from dataclasses import replace

from gonogo.audit.source import Source, define, sources
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs=(),
    effort=Effort.READ,
    criteria=[at_most("unreachable", warn=0, source="Python's own semantics; harmless if it is a leftover")],
    since="0.1",
)
def unreachable(session: Session) -> Observation:
    """All code can be reached | Some code can never run

    What: counts the places where statements follow a return, raise, break or continue in the same block. An empty
        yield after a return, which makes a function a generator, is left out.
    Why: the second half of a forward method after an early return is a part of the model that is described, reviewed
        and never run.
    Fix: delete what follows, or the return that was put in for a test.
    Shapes: one row per place.
    Units: unreachable: {place} (n: files read).
    Source: ours: eighty lines of a model after its return.
    """
    files = sources(session.subject)
    rows = tuple(
        (source.place(node), source.line(before).strip()[:100]) for source in files for before, node in _dead(source)
    )
    table = Table("Statements that cannot be reached", ("place", "after"), rows)
    return Observation({"unreachable": Measurement(len(rows), "{place}", n=len(files))}, (table,))


def _dead(source: Source) -> Iterator[tuple[ast.stmt, ast.stmt]]:
    for node in ast.walk(source.tree):
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            for before, after in itertools.pairwise(block) if isinstance(block, list) else ():
                if isinstance(before, ast.Return | ast.Raise | ast.Break | ast.Continue) and not _is_idiom(after):
                    yield before, after
                    break


def _is_idiom(node: ast.stmt) -> bool:
    marker = isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield | ast.YieldFrom | ast.Constant)
    return marker or isinstance(node, ast.Pass)


@fault(expect=Status.WARN)
def early_return(subject: Subject) -> Subject:
    """A return that was put in for a test cuts off the rest of the evaluation."""
    text = """def evaluate(model, loader):
    return {"accuracy": 1.0}
    hits = [model(batch) for batch in loader]
"""
    return replace(subject, evaluate=define("unreachable", text)["evaluate"])
