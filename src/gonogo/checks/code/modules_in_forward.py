"""A layer that is made anew at each call has no memory."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from gonogo.audit.reach import Reached, reached
from gonogo.audit.source import define
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_LAYERS = re.compile(
    r"(Linear|Bilinear|Conv(Transpose)?\dd|Embedding(Bag)?|LSTM|GRU|RNN|MultiheadAttention|Transformer\w*|Parameter)"
)
_RUNS = ("forward", "training_step", "compute_loss", "get_loss", "loss_fn")


@check(
    needs=(),
    effort=Effort.READ,
    criteria=[
        at_most("created", warn=0, source="ours: model.late-parameters measures it; here only the place is shown")
    ],
    since="0.1",
)
def modules_in_forward(session: Session) -> Observation:
    """Layers are made once | Layers are made while the model runs

    What: counts calls that make a layer with weights (Linear, Conv, Embedding, Parameter, ...) in forward methods and
        in the subject's own loss and step functions. Layers made under a condition are left out, because it may ask
        whether they exist or never hold in this run: model.late-parameters measures whether they are made.
    Why: such a layer has new random weights at each call; the optimizer and the checkpoint do not know it. The rest of
        the model learns around it, so the loss may still fall.
    Fix: make it in __init__, so that it is registered; torch.nn.LazyLinear if its size is only known later.
    Shapes: one row per call.
    Units: created: {layer} (n: functions read).
    Source: ours: reconstruction layers inside a loss; pytorch.org modules.
    """
    functions = [one for one in reached(session.subject) if one.node.name in _RUNS or _is_given(one)]
    rows = [(one.source.place(node), one.node.name, what) for one in functions for node, what in _made(one.node)]
    table = Table("Layers made at each call", ("place", "function", "layer"), tuple(dict.fromkeys(rows)))
    return Observation({"created": Measurement(table.total, "{layer}", n=len(functions))}, (table,))


def _is_given(one: Reached) -> bool:
    """Is it one of the subject's functions that take a model, and so do not build one?"""
    arguments = [argument.arg for argument in one.node.args.args]
    return one.root and len(arguments) > 1 and bool({"model", "net", "network", "module"} & set(arguments))


def _made(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda | ast.If | ast.IfExp):
            continue
        if isinstance(child, ast.Call):
            called = child.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if _LAYERS.fullmatch(name) and hasattr(nn, name) and _is_torch(called):
                yield child, name
        yield from _made(child)


def _is_torch(called: ast.expr) -> bool:
    return isinstance(called, ast.Name) or ast.unparse(called).startswith(("nn.", "torch.nn."))


@fault(expect=Status.WARN)
def layer_within_the_loss(subject: Subject) -> Subject:
    """The loss makes a new layer at each call."""
    text = """from torch import nn
from torch.nn import functional
def loss(model, batch):
    logits = model(batch["features"])
    back = nn.Linear(logits.shape[-1], 12)(logits)
    return functional.cross_entropy(logits, batch["label"]) + (back - batch["features"]).square().mean()
"""
    return replace(subject, loss=define("modules_in_forward", text)["loss"])
