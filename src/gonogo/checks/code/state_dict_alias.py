"""The best weights, which move on with the model."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from gonogo.audit.source import Source, define, sources
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_KEPT = re.compile(r"(?i)(^|_)(best|snapshot|backup|initial|init|start|previous|prev|before|saved|original)(_|$)")


@check(
    needs=(),
    effort=Effort.READ,
    criteria=[at_most("aliases", warn=0, source="ours: harmless where it is written to a file at once")],
    since="0.1",
)
def state_dict_alias(session: Session) -> Observation:
    """Kept weights are copies | Kept weights are the live ones

    What: counts assignments of a model's state_dict() to a name that says that it is kept (best, snapshot, initial,
        ...), without a deep copy or clones. What is passed to a function that saves or dumps is left out.
    Why: state_dict() gives references. The next optimizer step changes the "best" weights, too, and what is loaded at
        the end is the last state under the name of the best one.
    Fix: copy.deepcopy(model.state_dict()), or {k: v.clone() for k, v in model.state_dict().items()}.
    Shapes: one row per assignment.
    Units: aliases: {place} (n: files read).
    Source: pytorch.org saving and loading models: "best_model_state = model.state_dict() returns a reference".
    """
    files = sources(session.subject)
    rows = tuple((source.place(node), source.line(node).strip()[:100]) for source in files for node in _aliases(source))
    table = Table("References that are kept", ("place", "line"), rows)
    return Observation({"aliases": Measurement(len(rows), "{place}", n=len(files))}, (table,))


def _aliases(source: Source) -> Iterator[ast.AST]:
    saved = _saved(source)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and _shares(node.value):
            names = [_name(target) for target in (node.targets if isinstance(node, ast.Assign) else [node.target])]
            if any(_KEPT.search(name) and name not in saved for name in names):
                yield node


def _name(target: ast.expr) -> str:
    if isinstance(target, ast.Subscript):
        key = target.slice
        return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else _name(target.value)
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")


def _shares(value: ast.expr) -> bool:
    """state_dict() itself, or a dict of the same tensors."""
    if isinstance(value, ast.DictComp):
        return _is_reference(value.value) and _calls(value.generators[0].iter)
    if isinstance(value, ast.Call):
        called = value.func
        if isinstance(called, ast.Attribute):
            return called.attr == "state_dict" or (called.attr == "copy" and _is_state(called.value))
        return isinstance(called, ast.Name) and called.id in ("dict", "OrderedDict") and any(map(_is_state, value.args))
    return False


def _is_reference(node: ast.expr) -> bool:
    """The tensor itself, or detached from the graph: one storage in both."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "detach":
        return _is_reference(node.func.value)
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and node.attr == "data")


def _is_state(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "state_dict"


def _calls(node: ast.expr) -> bool:
    return any(_is_state(child) for child in ast.walk(node) if isinstance(child, ast.expr))


def _saved(source: Source) -> set[str]:
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
    savers = [c for c in calls if re.search(r"save|dump|write", ast.unparse(c.func).rsplit(".", 1)[-1])]
    return {_name(node) for call in savers for node in ast.walk(call) if isinstance(node, ast.Name | ast.Attribute)}


@fault(expect=Status.WARN)
def best_by_reference(subject: Subject) -> Subject:
    """The best weights are kept as a reference to the live ones."""
    text = """class Keeper:
    best_state = None
def evaluate(model, loader):
    best_state = model.state_dict()
    Keeper.best_state = best_state
    return {"kept": float(len(best_state))}
"""
    return replace(subject, evaluate=define("state_dict_alias", text)["evaluate"])
