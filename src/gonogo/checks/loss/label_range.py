"""A label that the head has no score for."""

from dataclasses import replace
from typing import Any

import torch

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.loss.interception import BINARY_LOSSES, CLASS_LOSSES, Call, recorded
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    explains=("",),
    criteria=[
        at_most("outside", fail=0, source="ours: such a label has no score; on an accelerator it reads foreign memory"),
        at_most("width_mismatch", warn=0, source="ours: spare scores are legitimate (padded vocabularies)"),
    ],
    since="0.1",
)
def label_range(session: Session, *, batches: int = 8) -> Observation:
    """Every label has a score | Labels lie outside the classes of the head

    What: watches the labels that go into cross_entropy and nll_loss. `outside` counts those that are neither one of
        the C classes nor the ignored label, and targets of binary losses that are not between 0 and 1;
        `width_mismatch` is 1 if the head is not as wide as Claims(classes=...).
    Why: labels counted from one, or a class map of another data set. A CPU stops with an index error in the middle of
        an epoch; an accelerator with an assertion that names no line.
    Fix: subtract one, or map the labels; give the head one score for each class.
    Shapes: scores (batch, C, ...), labels (batch, ...).
    Units: outside: labels; width_mismatch: 1.
    Source: ours; pytorch.org CrossEntropyLoss (ignore_index).
    """
    model = session.copy_model()
    calls: list[Call] = []
    with torch.no_grad():
        for batch in session.batches("train", limit=batches):
            calls += [call for call in recorded(session, model, batch)[0] if _has_labels(call)]
    if not calls:
        raise NotApplicable("the loss calls neither cross_entropy nor nll_loss with class labels, nor a binary loss")
    outside = {label: 0 for call in calls for label in _outside(call)}
    for call in calls:
        for label in _outside(call):
            outside[label] += 1
    claimed = session.claims.classes
    found = {"outside": Measurement(sum(outside.values()), "{label}", n=sum(call.target.numel() for call in calls))}
    widths = {call.classes for call in calls if call.name in CLASS_LOSSES}
    if claimed is not None and widths:
        found["width_mismatch"] = Measurement(float(claimed not in widths))
    top = max(widths, default=2) - 1
    rows = tuple((label, times, f"0 to {top}") for label, times in sorted(outside.items()))
    return Observation(found, (Table("Labels without a score", ("label", "times", "classes"), rows),))


def _has_labels(call: Call) -> bool:
    return call.name in BINARY_LOSSES or (call.name in CLASS_LOSSES and not call.target.is_floating_point())


def _outside(call: Call) -> list[float]:
    labels = call.target.detach().flatten()
    if call.name in BINARY_LOSSES:
        wrong = (labels < -1e-3) | (labels > 1 + 1e-3)
        return [float(label) for label in labels[wrong][:1000]]
    wrong = ((labels < 0) | (labels >= call.classes)) & (labels != call.ignore_index)
    return [float(label) for label in labels[wrong][:1000]]


@fault()
def counted_from_one(subject: Subject) -> Subject:
    """Labels count from one."""

    def shifted(path: str, leaf: Any) -> Any:
        integral = isinstance(leaf, torch.Tensor) and not leaf.is_floating_point() and leaf.dim() == 1
        return leaf + 1 if integral else leaf

    def change(loader: Any) -> Any:
        return (nested.map_leaves(shifted, nested.clone(batch)) for batch in loader)

    return subject.map_split("train", lambda split: replace(split, batches=lambda: list(change(split.batches()))))


@fault(expect=Status.WARN)
def head_of_another_task(subject: Subject) -> Subject:
    """The head has a class more than claimed."""
    return subject.with_claims(classes=3)
