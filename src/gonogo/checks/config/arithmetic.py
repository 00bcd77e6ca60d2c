"""Values that cannot all be true."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.settings import Setting, number, only, read, settings
from gonogo.training.subject import Subject

Row = tuple[str, str, str]  # keys, what they say, kind


@check(
    needs={C.CONFIG},
    effort=Effort.READ,
    criteria=[
        at_most("contradictions", fail=0, source="arithmetic: no run can have all of these values"),
        at_most("doubtful", warn=0, source="ours: legal where the code rounds, scales or gives heads a width"),
    ],
    since="0.1",
)
def arithmetic(session: Session) -> Observation:
    """The configured numbers fit together | The configured numbers contradict each other

    What: `contradictions` counts: a whole batch that is not micro batch x accumulation x processes (where all are
        given, or no number of processes makes it so), and attention heads that the key-value heads do not divide.
        `doubtful` counts: a width that the heads do not divide although heads have no width of their own, probabilities
        above 1, betas that are not below 1, parts of a split that sum to more than one, a least learning rate above the
        learning rate.
    Why: one of the values is not what happens. Which one is found out when results do not repeat: the batch that was
        published, or the number of heads after rounding down.
    Fix: remove the value that follows from the others, or derive it in the code.
    Shapes: one row per contradiction.
    Units: contradictions, doubtful: {value} (n: values compared).
    Source: deepspeed.ai configuration, train_batch_size; arXiv:2305.13245 for key-value heads.
    """
    found = [one for one in settings(read(session.subject.config)) if not isinstance(one.value, bool)]
    sections = {one.section for one in found}
    compared = [_within([one for one in found if one.section == section]) for section in sections]
    rows = [row for section in compared for row in section] + list(_batches(found))
    numbers = [one for one in found if number(one.value) is not None and one.meaning]
    if not numbers and not rows:
        raise NotApplicable("no key of the configuration has a meaning that is known here")
    table = Table("Values that do not fit together", ("keys", "values", "is"), tuple(sorted(rows)))
    counts = {kind: sum(row[2] == kind for row in rows) for kind in ("contradictions", "doubtful")}
    return Observation({k: Measurement(count, "{value}", n=len(numbers)) for k, count in counts.items()}, (table,))


def _within(section: Sequence[Setting]) -> list[Row]:
    return [*_heads(section), *_fractions(section), *_ranges(section)]


def _heads(section: Sequence[Setting]) -> Iterator[Row]:
    width, heads, groups = (only(section, meaning) for meaning in ("width", "heads", "kv_heads"))
    if heads is None or not (number(heads.value) or 0) > 0:
        return
    own = any(one.meaning == "head_width" and one.value is not None for one in section)
    if width is not None and not own and _remainder(width, heads):
        yield _row((width, heads), "doubtful")
    if groups is not None and (number(groups.value) or 0) > 0 and _remainder(heads, groups):
        yield _row((heads, groups), "contradictions")


def _remainder(whole: Setting, part: Setting) -> bool:
    return (number(whole.value) or 0.0) % (number(part.value) or 1.0) != 0


def _fractions(section: Sequence[Setting]) -> Iterator[Row]:
    parts = {"train", "valid", "val", "validation", "dev", "test"}
    kinds = {"fraction", "frac", "ratio", "split", "share", "size", "prop"}
    of = [one for one in section if set(one.name.split("_")) & parts and set(one.name.split("_")) & kinds]
    shares = [(one, number(one.value)) for one in of]
    fractions = [(one, share) for one, share in shares if share is not None and 0 < share < 1]
    # Counts are no fractions; with the training part among them, they share one whole.
    if any("train" in one.name for one, _ in fractions) and math.fsum(share for _, share in fractions) > 1 + 1e-6:
        yield _row([one for one, _ in fractions], "doubtful")  # unless one is a part of another


def _ranges(section: Sequence[Setting]) -> Iterator[Row]:
    for one in section:
        value = number(one.value)
        if value is not None and (one.meaning == "dropout" or one.name == "label_smoothing") and value > 1:
            yield _row((one,), "doubtful")
        betas = one.value if one.meaning == "betas" and isinstance(one.value, list | tuple) else ()
        if any(not 0 <= (number(beta) or 0.0) < 1 for beta in betas):
            yield _row((one,), "doubtful")
    rate, least = only(section, "rate"), only(section, "smallest_rate")
    if rate is not None and least is not None and (number(least.value) or 0.0) > (number(rate.value) or 0.0):
        yield _row((rate, least), "doubtful")


def _batches(found: Sequence[Setting]) -> Iterator[Row]:
    whole, micro, times, world = (only(found, m) for m in ("whole_batch", "micro_batch", "accumulation", "world"))
    split = {"tensor", "pipeline", "context", "model", "expert", "tp", "pp", "cp"}  # processes that share one batch
    shared = any(one.words & split and one.words & {"parallel", "tp", "pp", "cp"} for one in found)
    if whole is None or micro is None or times is None or shared or any("node" in one.name for one in found):
        return
    given = [one for one in (whole, micro, times, world) if one is not None]
    sizes = [number(one.value) or 0.0 for one in given]
    if any(size < 1 or size != int(size) for size in sizes):
        return
    product = math.prod(sizes[1:])
    # The number of processes is that of the launcher, where none is configured.
    if sizes[0] != product if world is not None else sizes[0] % product:
        yield _row(given, "contradictions")


def _row(of: Sequence[Setting], kind: str) -> Row:
    return ", ".join(one.path for one in of), ", ".join(str(one.value) for one in of), kind


@fault()
def three_batch_sizes(subject: Subject) -> Subject:
    """The whole batch is not what its factors make."""
    sizes = {"global_batch_size": 256, "micro_batch_size": 8, "accumulation_steps": 4, "world_size": 4}
    return replace(subject, config={**read(subject.config), **sizes})


@fault(expect=Status.WARN)
def heads_do_not_divide(subject: Subject) -> Subject:
    """The width of the model is no multiple of its heads."""
    return replace(subject, config={**read(subject.config), "model": {"d_model": 100, "heads": 8}})
