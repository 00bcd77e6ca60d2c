"""A sum of losses minimises the one that pulls hardest."""

import statistics
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.loss.terms import Scalars, Term, pulls, terms
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject

MOST = 10  # terms: each is a backward pass


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("ratio", warn=10, source="a published run: positions in pixels had 23 times the share of a flag")
    ],
    since="0.5",
)
def term_balance(session: Session) -> Observation:
    """The terms of the loss pull alike | One term of the loss drowns the others

    What: takes the loss apart where its graph is a sum (and an error of 3 to 16 columns by column) and measures the
        gradient of each term at the weights that they share, on two batches. `ratio` is the largest over the median
        among three or more terms that the loss adds with the same weight; 1 where the weights differ, because then
        somebody chose them. `largest_share` is the largest term's part of the sum of all gradients. Terms that do not
        depend on the data (penalties) and those whose gradient is exactly zero are left out.
    Why: targets in pixels, seconds and fractions under one mean differ by orders of magnitude; the network serves the
        largest, clipping cuts the rest along, and the metric of the small ones stays at chance.
    Fix: normalise each target to unit variance by statistics of the training split, or give each term a weight.
    Shapes: a scalar loss; columns [sample, column].
    Units: ratio, largest_share: 1 (n: terms).
    Source: A. Kendall et al., Multi-task learning using uncertainty (2018); Z. Chen et al., GradNorm (2018).
    """
    model = session.copy_model()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    one, other = _two(session)
    which = _of_data(terms(*_computed(session, model, one)), terms(*_computed(session, model, other)))
    measured = [pulls(*_computed(session, model, batch), parameters, which) for batch in (other, one)]
    shared = _shared(measured)
    each = [
        (found[0], statistics.fmean(_norm(term, shared) for term in found)) for found in zip(*measured, strict=True)
    ]
    rows = sorted(((term, norm) for term, norm in each if norm > 0), key=lambda row: -row[1])
    if len(rows) < 2:
        raise NotApplicable("no two terms of the loss depend on the data and pull at the same weights")
    groups: dict[str, list[float]] = {}
    for term, norm in rows:
        groups.setdefault(term.group, []).append(norm)
    ratios = [max(group) / statistics.median(group) for group in groups.values() if len(group) > 2]
    total = sum(norm for _, norm in rows)
    table = tuple((t.name, t.place, t.weight, t.value, norm, norm / total) for t, norm in rows)
    return Observation(
        {
            "ratio": Measurement(max(ratios, default=1.0), n=len(rows)),
            "largest_share": Measurement(rows[0][1] / total, n=len(rows)),
        },
        (Table("Terms of the loss", ("term", "at", "weight", "value", "gradient", "share"), table),),
    )


def _two(session: Session) -> list[Any]:
    """Two batches; the halves of one where there is only one."""
    batches = session.batches("train", limit=2)
    rows = nested.size(batches[0]) or 0
    if len(batches) == 2:
        return batches
    if rows < 2:
        raise NotApplicable("there is one sample, so what depends on the data is not known")
    halves = ([*range(rows // 2)], [*range(rows // 2, rows)])
    return [nested.take_rows(batches[0], half, rows) for half in halves]


def _of_data(here: list[Term], there: list[Term]) -> list[bool]:
    """Which terms have another value on another batch: the others are penalties."""
    if [term.key for term in here] != [term.key for term in there]:
        raise NotApplicable("the terms of the loss differ from batch to batch")
    which = [one.value != two.value for one, two in zip(here, there, strict=True)]
    if not 1 < sum(which) <= MOST:
        raise NotApplicable(f"terms of the loss that depend on the data: {sum(which)}; 2 to {MOST} are compared")
    return which


def _computed(session: Session, model: nn.Module, batch: Any) -> tuple[Tensor, dict[Any, Any]]:
    scalars = Scalars()
    with torch.enable_grad(), seeding.seeded(session.seed), scalars:
        return session.loss(nested.clone(batch), model), scalars.made


def _shared(measured: Sequence[Sequence[Term]]) -> list[int]:
    """The parameters at which two terms or more pull."""
    reached: dict[int, set[int]] = {}
    for found in measured:
        for number, term in enumerate(found):
            for place, one in enumerate(term.pull):
                if one is not None and bool(one.any()):
                    reached.setdefault(place, set()).add(number)
    return [place for place, numbers in reached.items() if len(numbers) > 1]


def _norm(term: Term, places: Sequence[int]) -> float:
    held = (term.pull[place] for place in places)
    return sum(float(torch.linalg.vector_norm(one.detach())) ** 2 for one in held if one is not None) ** 0.5


@fault(expect=Status.WARN)
def columns_of_many_scales(subject: Subject) -> Subject:
    """Four targets in four units stand in one error."""

    def loss(model: Any, batch: Any) -> Tensor:
        wanted = batch["features"][:, :4] * torch.tensor([1.0, 0.5, 2.0, 400.0])
        return functional.mse_loss(model(batch["features"]), wanted)

    return subject.map_loss(lambda _: loss)


@fault(expect=Status.WARN, toy="multimodal")
def terms_of_many_scales(subject: Subject) -> Subject:
    """Three errors are added up, and the target of one is in pixels."""

    def loss(model: Any, batch: Any) -> Tensor:
        answers, wanted = model(batch), batch["label"].float()
        errors = [functional.mse_loss(answers[:, place], wanted * scale) for place, scale in enumerate((1, 1, 400))]
        return torch.stack(errors).mean()

    return subject.map_loss(lambda _: loss)
