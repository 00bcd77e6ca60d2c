"""An argument that a model accepts and never looks at."""

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

# For these a signature is kept although nothing is read.
_COMPATIBLE = re.compile(r"^_|^(self|cls|args|kwargs|config|cfg|unused\w*|device|dtype|name|verbose|ctx|key)$")


@check(
    needs=(),
    effort=Effort.READ,
    criteria=[at_most("unread", warn=0, source="ours: an argument may be kept so that models can be exchanged")],
    since="0.1",
)
def unread_arguments(session: Session) -> Observation:
    """Arguments of constructors are read | Arguments of constructors are accepted and never read

    What: counts arguments of the constructors of networks and losses that the constructor's body does not mention.
        Left out: names with an underscore in front, and constructors that hand all their names on (locals(),
        save_hyperparameters()).
    Why: `rope_theta` or `freeze_encoder` can be configured, swept and reported, and no run differs from another.
    Fix: use it where it is meant, or remove it, so that a configuration that sets it is refused.
    Shapes: one row per argument.
    Units: unread: {argument} (n: constructors read).
    Source: ours: a model without positions that accepted the base of its rotary embedding.
    """
    constructors = [one for one in reached(session.subject) if one.node.name == "__init__" and _is_network(one)]
    rows = tuple(
        (one.source.place(one.node), one.owner.name if one.owner else "", name)
        for one in constructors
        for name in _unread(one.node)
    )
    table = Table("Arguments that nothing reads", ("place", "class", "argument"), rows)
    return Observation({"unread": Measurement(len(rows), "{argument}", n=len(constructors))}, (table,))


def _is_network(one: Reached) -> bool:
    if one.owner is None or any(
        isinstance(item, ast.FunctionDef) and item.name == "forward" for item in one.owner.body
    ):
        return one.owner is not None
    names = [ast.unparse(base) for base in one.owner.bases]
    return any(re.search(r"(Module|Model|Layer|Loss|Net|Encoder|Decoder|Block)$", name) for name in names)


def _unread(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    inside = [child for statement in node.body for child in ast.walk(statement)]
    read = {child.id for child in inside if isinstance(child, ast.Name)}
    passes_on = {"locals", "save_hyperparameters", "vars"} & (
        read | {child.attr for child in inside if isinstance(child, ast.Attribute)}
    )
    if passes_on or _only_refuses(node):
        return
    for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
        if argument.arg not in read and not _COMPATIBLE.search(argument.arg):
            yield argument.arg


def _only_refuses(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """An abstract constructor: a docstring, pass, or an error."""
    return all(isinstance(statement, ast.Pass | ast.Raise | ast.Expr) for statement in node.body) and not any(
        "super" in ast.unparse(statement) for statement in node.body
    )


@fault(expect=Status.WARN)
def rate_not_used(subject: Subject) -> Subject:
    """The model accepts a dropout probability and drops nothing."""
    text = """from torch import nn
class Net(nn.Module):
    def __init__(self, hidden=16, dropout=0.1):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(12, hidden), nn.GELU(), nn.Linear(hidden, 4))
    def forward(self, x):
        return self.layers(x)
def build():
    return Net(dropout=0.3)
"""
    return replace(subject, model=define("unread_arguments", text)["build"])
