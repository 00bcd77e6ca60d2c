"""An input that the answer does not depend on was not used."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gonogo.audit import fields
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.recorded_call import wake
from gonogo.instruments.answers.rows import sample_rows
from gonogo.instruments.data import roles
from gonogo.instruments.streams.fields import fields_of
from gonogo.training import batch as nested
from gonogo.training import entry, seeding
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    explains=("learning.",),
    criteria=[
        at_most("blind", fail=0, source="exact: outputs equal bit for bit although every input was exchanged"),
        at_most("unused_claimed", fail=0, source="exact: as blind, for a field that the claims name"),
        at_most("unused_fields", warn=0, source="ours: fields may be there for the loss or the log only"),
    ],
    since="0.1",
)
def input_dependence(session: Session, *, steps: int = 3) -> Observation:
    """The answer depends on the inputs | The answer does not depend on its inputs

    What: exchanges each field of a batch among its samples and looks whether any output changes, in evaluation mode,
        before training and (a head may start at zero) after some optimizer steps. `blind` is 1 if no field matters,
        `unused_claimed` counts fields named in Claims(modalities=...) that do not, `unused_fields` others, but
        for what only the loss reads: that is a target, whatever its name.
    Why: a modality that a default drops, a slice taken twice, a key that forward ignores: the loss falls on what is
        left, and the ablation that should show it was never run.
    Fix: follow the field from the batch to the layer that should read it; look at keys, slices and `if` branches.
    Shapes: fields with the batch's rows on the first or second axis.
    Units: blind: 1; unused_claimed, unused_fields: fields.
    Source: A. Karpathy, A Recipe for Training Neural Networks (2019), "input-independent baseline"; ours.
    """
    batches = session.batches("train", limit=steps)
    rows = sample_rows(session, batches[0])
    wake(session.model, session.seed)  # the steps may have been those of a warm-up or of one long accumulation
    names = _inputs(session, batches[0], rows)
    if not names:
        raise NotApplicable("no field of the batch can be exchanged among its samples")
    matters, together = _seen_now(session, batches[0], names, rows)
    if not all(matters.values()):  # a head that starts at zero sees nothing before its first steps
        for index in range(steps):
            session.step(nested.clone(batches[index % len(batches)]))
        later, together_later = _seen_now(session, batches[0], names, rows)
        matters, together = {name: matters[name] or later[name] for name in names}, together or together_later
    blind = not any(matters.values()) and not together
    groups = {claim: fields_of(claim, names) for claim in session.claims.modalities}
    claimed = {name for group in groups.values() for name in group}
    deaf = [claim for claim, group in groups.items() if group and not any(matters[name] for name in group)]
    idle = [name for name in names if not matters[name] and name not in claimed and _is_feature(batches[0], name)]
    unused = 0 if blind else len(set(idle) - roles.targets(session))
    table = tuple((name, "yes" if matters[name] else "no", "yes" if name in claimed else "") for name in names)
    return Observation(
        {
            "blind": Measurement(float(blind)),
            "unused_claimed": Measurement(0 if blind else len(deaf), "{field}"),
            "unused_fields": Measurement(unused, "{field}"),
        },
        (Table("What the outputs depend on", ("field", "matters", "claimed"), table),),
    )


def _seen_now(session: Session, batch: Any, names: list[str], rows: int) -> tuple[dict[str, bool], bool]:
    """Which fields matter with the weights as they are, and whether all of them together do."""
    base = _outputs(session, batch)
    if all(bool(output.isnan().all()) for output in base.values()):
        raise NotApplicable("all outputs are nan in evaluation mode")
    each = {name: _matters(session, batch, [name], rows, base) for name in names}
    return each, any(each.values()) or _matters(session, batch, names, rows, base)


def _inputs(session: Session, batch: Any, rows: int) -> list[str]:
    """Numeric fields that differ between samples and are not the target."""
    inside = fields.roles(batch, session.claims).input
    known = {id(leaf) for _, leaf in nested.walk(inside)}
    found = {path: leaf for path, leaf in nested.walk(batch) if isinstance(leaf, Tensor) and id(leaf) in known}
    return [p for p, t in found.items() if nested.row_axis(t, rows) is not None and _differ(t, _exchanged(t, rows))]


def _exchanged(leaf: Tensor, rows: int) -> Tensor:
    return leaf.roll(max(1, rows // 2), nested.row_axis(leaf, rows) or 0)


def _matters(session: Session, batch: Any, names: list[str], rows: int, base: dict[str, Tensor]) -> bool:
    changed = nested.map_leaves(lambda path, leaf: _exchanged(leaf, rows) if path in names else leaf, batch)
    try:
        found = _outputs(session, changed)
    except Exception:  # what refuses values of other samples (lengths that must fall) has read them
        return True
    return found.keys() != base.keys() or any(_differ(found[path], base[path]) for path in base)


def _differ(one: Tensor, other: Tensor) -> bool:
    return not one.nan_to_num().equal(other.nan_to_num())


def _outputs(session: Session, batch: Any) -> dict[str, Tensor]:
    """Of `predict`, or of all modules that the loss calls itself: a discriminator, beside a generator of noise."""
    batch = nested.clone(batch)
    with torch.no_grad(), evaluating(session.model) as model, seeding.seeded(session.seed):
        if session.subject.predict is None and not isinstance(model, torch.jit.ScriptModule):  # that takes no hooks
            answers = entry.answers(model, lambda: session.loss(batch, model))
            if answers:
                return {
                    p: t for p, t in nested.tensors([answer for _, answer in answers]).items() if t.is_floating_point()
                }
        return session.outputs(batch, model)


def _is_feature(batch: Any, path: str) -> bool:
    """Floating-point fields with more than one number per sample: ids, weights and lengths need not matter."""
    leaf = dict(nested.walk(batch))[path]
    return leaf.is_floating_point() and leaf.dim() > 1


@fault()
def input_replaced_by_zeros(subject: Subject) -> Subject:
    """The model's answer is multiplied by zero."""
    return subject.map_outputs(lambda output: 0.0 * output)


@fault(expect=Status.FAIL, toy="multimodal")
def stream_dropped(subject: Subject) -> Subject:
    """One of the streams never arrives."""

    def silenced(path: str, leaf: Any) -> Any:
        return torch.zeros_like(leaf) if "audio" in path and leaf.is_floating_point() else leaf

    def deaf(function: Any) -> Any:
        return function and (lambda model, batch: function(model, nested.map_leaves(silenced, batch)))

    claimed = subject.with_claims(modalities=("audio",))
    return replace(claimed, loss=deaf(claimed.loss), predict=deaf(claimed.predict))
