"""NaN that is written over is divergence that nobody sees."""

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

_LEARNED = re.compile(
    r"\.grad\b|\bgrads?\b|\bgradients?\b|\bparam(eter)?s?\b|\.data\b|\bloss(es)?\b|_loss\b|\bweights?\b"
)


@check(
    needs=(),
    effort=Effort.READ,
    criteria=[at_most("sanitised", warn=0, source="ours: with a count of what was replaced it may be meant")],
    since="0.1",
)
def sanitisers(session: Session) -> Observation:
    """Non-finite gradients and losses stay visible | Non-finite gradients or losses are written over

    What: counts calls of nan_to_num on gradients, parameters or losses. Inputs are left out: there NaN may mark what is
        missing.
    Why: the loss stays finite while updates are zero or random; a run that diverged at step 1000 ends with a smooth
        curve and a model that did not learn.
    Fix: let it fail, or skip the step and count how often; look for the cause with torch.autograd.detect_anomaly.
    Shapes: one row per call.
    Units: sanitised: {call} (n: files read).
    Source: ours: gradients and parameters that were cleaned at each step.
    """
    files = sources(session.subject)
    rows = tuple((source.place(node), source.line(node).strip()[:100]) for source in files for node in _calls(source))
    table = Table("What is written over", ("place", "line"), rows)
    return Observation({"sanitised": Measurement(len(rows), "{call}", n=len(files))}, (table,))


def _calls(source: Source) -> Iterator[ast.AST]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            about = [*node.args[:1], *([called.value] if isinstance(called, ast.Attribute) else [])]
            if name in ("nan_to_num", "nan_to_num_") and any(_LEARNED.search(ast.unparse(part)) for part in about):
                yield node


@fault(expect=Status.WARN)
def gradients_cleaned(subject: Subject) -> Subject:
    """NaN in gradients is replaced by zero before each step."""
    text = """import torch
def step(model, optimizer, batch):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(batch["features"]), batch["label"])
    loss.backward()
    for parameter in model.parameters():
        parameter.grad = torch.nan_to_num(parameter.grad)
    optimizer.step()
    return float(loss.detach())
"""
    return replace(subject, step=define("sanitisers", text)["step"])
