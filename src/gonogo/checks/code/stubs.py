"""What was to be written later, in the path of the run."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from gonogo.audit.reach import Reached, reached
from gonogo.audit.source import define
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_LATER = re.compile(
    r"#.*\b(TODO|FIXME|XXX|placeholder|stub|dummy value|not (yet )?implemented|implement (me|this|later))\b", re.I
)
_ABSTRACT = re.compile(r"(^|_)(Base|Abstract|Mixin|Protocol|Interface)|(Base|Mixin|Protocol|Interface)$|^ABC")


@check(
    needs=(),
    effort=Effort.READ,
    criteria=[at_most("stubs", warn=0, source="ours: names may coincide, so what is reached is an estimate")],
    since="0.1",
)
def stubs(session: Session) -> Observation:
    """The code of the run is written to the end | Parts of the run are still to be written

    What: reads the functions that the subject's functions may call, as far as names tell, and counts constants that
        stand under a comment such as TODO or placeholder, and functions that only raise NotImplementedError.
        Abstract methods, protocols and methods that a subclass overrides are left out.
    Why: `efficiency = 0.0  # TODO` fulfils every `efficiency < limit`: a criterion that is a constant decides nothing,
        and the log shows a number as if it had been measured.
    Fix: write it, or remove what uses it.
    Shapes: one row per place.
    Units: stubs: {place} (n: functions read).
    Source: ours: a curriculum whose exit criterion was a constant.
    """
    functions = reached(session.subject)
    bases = {name for one in functions if one.owner for name in _bases(one.owner)}
    rows = tuple(
        (one.source.place(node), one.node.name, one.source.line(node).strip()[:100])
        for one in functions
        for node in _found(one, bases)
    )
    rows = tuple(dict.fromkeys(rows))  # a function within another is read with both
    table = Table("To be written", ("place", "function", "line"), rows)
    return Observation({"stubs": Measurement(len(rows), "{place}", n=len(functions))}, (table,))


def _found(one: Reached, bases: set[str]) -> Iterator[ast.AST]:
    for node in ast.walk(one.node):
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign | ast.Return) else None
        if isinstance(value, ast.Constant) and _LATER.search(one.source.line(node)):
            yield node
    body = [node for node in one.node.body if not _is_docstring(node)]
    if len(body) == 1 and _refuses(body[0]) and not _is_abstract(one, bases):
        yield body[0]


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _refuses(node: ast.stmt) -> bool:
    raised = node.exc if isinstance(node, ast.Raise) else None
    called = raised.func if isinstance(raised, ast.Call) else raised
    return isinstance(called, ast.Name) and called.id == "NotImplementedError"


def _is_abstract(one: Reached, bases: set[str]) -> bool:
    decorated = {part for d in one.node.decorator_list for part in re.findall(r"\w+", ast.unparse(d))}
    if one.owner is None:
        return bool(decorated)  # singledispatch, overload: the decorator gives it its meaning
    names = [one.owner.name, *_bases(one.owner)]
    return bool(decorated) or one.owner.name in bases or any(_ABSTRACT.search(name) for name in names)


def _bases(owner: ast.ClassDef) -> list[str]:
    parts = [base.value if isinstance(base, ast.Subscript) else base for base in owner.bases]
    return [part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "") for part in parts]


@fault(expect=Status.WARN)
def constant_criterion(subject: Subject) -> Subject:
    """The rate that decides over the end of a phase is a constant."""
    names = define(
        "stubs",
        "def evaluate(model, loader):\n    efficiency_rate = 0.0  # TODO\n    return {'efficiency': efficiency_rate}\n",
    )
    return replace(subject, evaluate=names["evaluate"])
