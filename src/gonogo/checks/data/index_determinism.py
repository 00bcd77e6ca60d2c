"""An index that gives another label on each reading teaches nothing."""

from dataclasses import replace
from typing import Any

import torch
from torch.utils.data import DataLoader

from gonogo.audit import fields, readings
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs=(C.TRAIN,),
    effort=Effort.READ,
    criteria=[
        at_most("changed_targets", fail=0.0, source="exact: one input has one target"),
        at_most("changed_held_out", warn=0.0, source="exact: two evaluations must see the same samples"),
        at_most("redrawn_held_out", fail=0.0, source="exact: a score of samples that exist for one reading only"),
        at_most("redraw_ratio", warn=0.9, source="ours: 1 for samples drawn anew, 0.1 to 0.7 for usual augmentation"),
    ],
)
def index_determinism(session: Session, *, limit: int = 64) -> Observation:
    """An index always gives the same sample | An index gives another sample on each reading

    What: read up to `limit` indices of each split twice, the second time in another order and under another seed.
        `changed_targets` counts samples whose target changes while the input stays. `changed_held_out` is the share of
        valid that changes at all, `redrawn_held_out` is that share where nothing of a held-out sample stays: no number
        of its input, and not its label. Augmentation of train is legitimate; only where input and target both change,
        `redraw_ratio` compares two readings of one index with two indices: near 1, nothing of the sample is kept.
    Why: a target drawn in `__getitem__` is noise that no model can learn; a held-out set that changes makes scores
        incomparable; a sample drawn anew has no identity, so epochs, splits and overlap lose their meaning.
    Fix: draw once when the data set is built, or seed a generator with the index; transform train only.
    Shapes: one sample per index
    Units: changed_targets: {sample} (n: indices of train and valid); all others: 1
    Source: PyTorch documentation, Data Loading Order and Sampler; Reproducibility
    """
    names = [name for name in ("train", "valid") if name in session.subject.splits]
    with seeding.seeded(session.seed):
        pairs = {name: found for name in names if (found := readings.read_twice(session, name, limit=limit))}
    if not pairs:
        raise NotApplicable("no split has a data set whose samples can be read by index")
    relabelled = {name: _relabelled(found, session) for name, found in pairs.items()}
    n = sum(len(found) for found in pairs.values())
    measurements = {"changed_targets": Measurement(sum(map(len, relabelled.values())), "{sample}", n=n)}
    if "valid" in pairs:
        held = pairs["valid"]
        changed = sum(pair.input_changed or pair.target_changed for pair in held)
        measurements["changed_held_out"] = Measurement(changed / len(held), n=len(held))
        redrawn = not session.claims.stochastic and readings.all_redrawn(held)
        measurements["redrawn_held_out"] = Measurement(changed / len(held) if redrawn else 0.0, n=len(held))
    if "train" in pairs:
        measurements["redraw_ratio"] = Measurement(readings.ratio_of_redrawn(pairs["train"]), n=len(pairs["train"]))
    return Observation(measurements, (_table(relabelled),))


def _table(relabelled: dict[str, list[readings.Pair]]) -> Table:
    each = [(name, pair) for name, found in relabelled.items() for pair in found]
    rows = [(name, pair.index, str(pair.first.target), str(pair.second.target)) for name, pair in each]
    return Table("Targets that change", ("split", "position", "first reading", "second reading"), tuple(rows))


def _relabelled(pairs: list[readings.Pair], session: Session) -> list[readings.Pair]:
    """Same input, other target; nothing is said where inputs are redrawn too (masked tokens, mixed samples)."""
    if sum(pair.input_changed for pair in pairs) > len(pairs) / 2:
        return []
    declared = session.claims.target is not None
    found = [pair for pair in pairs if pair.target_changed and not pair.input_changed]
    return [pair for pair in found if declared or readings.has_label(pair)]


class _Reading:
    """A data set whose samples go through `change(data, sample)` at each reading."""

    def __init__(self, data: Any, change: Any) -> None:
        self.data, self.change = data, change

    def __getitem__(self, index: int) -> Any:
        return self.change(self.data, self.data[index])

    def __len__(self) -> int:
        return len(self.data)


def _through(subject: Subject, name: str, change: Any) -> Subject:
    loader: Any = subject.splits[name].batches() if name in subject.splits else None
    if not hasattr(getattr(loader, "dataset", None), "__getitem__"):
        raise NotApplicable("the split has no data set to read by index")
    change(loader.dataset, loader.dataset[0])  # says now if it cannot be done

    def build() -> DataLoader[Any]:
        inner: Any = subject.splits[name].batches()
        return DataLoader(_Reading(inner.dataset, change), inner.batch_size, collate_fn=inner.collate_fn)  # type: ignore[arg-type]

    return subject.map_split(name, lambda split: replace(split, batches=build))


def _another(data: Any) -> Any:
    return data[int(torch.randint(len(data), ()))]


@fault()
def label_drawn_at_each_reading(subject: Subject) -> Subject:
    """The label is that of another sample, drawn when the sample is read."""

    def change(data: Any, sample: Any) -> Any:
        target, drawn = (fields.roles(one, subject.claims).target for one in (sample, _another(data)))
        if target is None:
            raise NotApplicable("no field of a sample is known to be the target")
        return nested.map_leaves(lambda _, leaf: drawn if leaf is target else leaf, sample)

    return _through(subject, "train", change)


@fault(expect=Status.WARN, toy="regressor")
def held_out_samples_augmented(subject: Subject) -> Subject:
    """Noise is added to the validation inputs."""

    def change(data: Any, sample: Any) -> Any:
        target = fields.roles(sample, subject.claims).target

        def noisy(_: str, leaf: Any) -> Any:
            floating = isinstance(leaf, torch.Tensor) and leaf.is_floating_point() and leaf is not target
            return leaf + 0.1 * torch.randn_like(leaf) if floating else leaf

        if not any(tensor.is_floating_point() for tensor in nested.tensors(sample).values()):
            raise NotApplicable("no field of a sample is a tensor of floating-point numbers")
        return nested.map_leaves(noisy, sample)

    return _through(subject, "valid", change)


@fault()
def held_out_samples_drawn_anew(subject: Subject) -> Subject:
    """Every reading of the validation set draws a sample, whatever the index."""
    return _through(subject, "valid", lambda data, _: _another(data))


@fault(expect=Status.WARN, toy="regressor")
def samples_drawn_anew(subject: Subject) -> Subject:
    """The index is ignored: every reading draws a sample."""
    return _through(subject, "train", lambda data, _: _another(data))
