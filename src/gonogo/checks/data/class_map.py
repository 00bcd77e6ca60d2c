"""One name, one index: in every split."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch.utils.data import ConcatDataset, DataLoader

from gonogo.audit import fields, samples
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.data import ledger
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_MAPS = ("class_to_idx", "classes", "class_to_index", "label_to_idx", "label2id", "label_map", "stoi", "word2idx")
_MAPS += ("vocab", "vocabulary", "token_to_id", "char_to_idx", "categories")


@check(
    needs=(C.TRAIN, C.VALID),
    effort=Effort.READ,
    explains=("learning", "evaluation"),
    criteria=[
        at_most("renumbered", fail=0, source="exact: one name cannot have two numbers"),
        at_most("new_classes", warn=0.01, source="ours: what was never trained on is not known, but open sets exist"),
    ],
    since="0.2",
)
def class_map(session: Session, *, limit: int = 2000) -> Observation:
    """Classes have the same number in every split | Classes have other numbers in another split

    What: compares the tables from names to numbers that the data sets of train and of valid or test carry
        (class_to_idx, classes, label2id, vocab, ...). `renumbered` counts names with two numbers. `new_classes` is the
        share of the first `limit` samples of valid whose class does not occur in train, of which all is read.
    Why: a folder that lacks one class, or a vocabulary built per split, moves every later number by one. The model is
        right and its score is that of chance.
    Fix: build the table once, from train, and give it to every split.
    Shapes: targets: one whole number per sample.
    Units: renumbered: {name}; new_classes: 1 (n: samples of valid).
    Source: torchvision ImageFolder numbers the folders it finds; ours.
    """
    names = [name for name in ("train", "valid", "test") if name in session.subject.splits]
    tables = {name: _tables(samples.loader_of(session, name)) for name in names}
    rows = [
        (kind, key, number, other, name)
        for name in names[1:]
        for kind in tables["train"].keys() & tables[name].keys()
        for key, number in tables["train"][kind].items()
        if (other := tables[name][kind].get(key, number)) != number
    ]
    found = {}
    if any(tables["train"].keys() & tables[name].keys() for name in names[1:]):
        found["renumbered"] = Measurement(len(rows), "{name}")
    new = _new_classes(session, limit)
    if new is not None:
        found["new_classes"] = new
    if not found:
        raise NotApplicable("the data sets carry no table of classes, and the targets are no classes")
    columns = ("table", "name", "in train", "there", "split")
    return Observation(found, (Table("Names with two numbers", columns, tuple(sorted(rows, key=str))),))


def _tables(loader: Any) -> dict[str, dict[str, Any]]:
    """The tables from names to numbers of a loader's data set, or of those inside it."""
    found: dict[str, dict[str, Any]] = {}
    data: Any = getattr(ledger.torch_loader(loader), "dataset", None)
    for _ in range(8):
        for kind in _MAPS:
            table = _numbered(getattr(data, kind, None))
            if table:
                found.setdefault(kind, table)
        if isinstance(data, ConcatDataset):
            data = data.datasets[0]
        elif (data := getattr(data, "dataset", None)) is None:
            break
    return found


def _numbered(table: Any) -> dict[str, Any]:
    if isinstance(table, Mapping):
        return {str(key): value for key, value in table.items() if isinstance(value, int)}
    # A list with a name twice is one of samples, not of classes.
    listed = isinstance(table, list | tuple) and all(isinstance(name, str) for name in table)
    if listed and len(set(table)) == len(table):
        return {name: place for place, name in enumerate(table)}
    return {}


def _new_classes(session: Session, limit: int) -> Measurement | None:
    """The share of held-out samples of classes that train does not have; None where targets are no classes."""
    seconds = 0.3 * session.seconds_left
    with seeding.seeded(session.seed):
        held = _classes(session, "valid", limit, seconds)
        if not held or len(set(held)) > len(held) / 4:
            return None
        trained = _classes(session, "train", None, seconds)
    if not trained:
        return None
    new = set(held) - set(trained)
    return Measurement(sum(one in new for one in held) / len(held), n=len(held))


def _classes(session: Session, name: str, limit: int | None, seconds: float) -> list[int]:
    found: list[int] = []
    for _, sample in (reading := samples.Reading(samples.of_split(session, name), seconds, session.seed)):
        target = fields.roles(sample, session.claims).target
        numbers = list(nested.tensors(target).values())
        if isinstance(target, int) and not isinstance(target, bool):
            found.append(target)
        elif len(numbers) == 1 and numbers[0].numel() == 1 and not numbers[0].is_floating_point():
            found.append(int(numbers[0]))
        else:
            return []  # no classes
        if limit is not None and len(found) >= limit:
            return found
    return found if limit is not None or reading.complete else []


def _with_data(subject: Subject, name: str, change: Any) -> Subject:
    def build() -> DataLoader[Any]:
        loader: Any = subject.splits[name].batches()
        return DataLoader(change(loader.dataset), loader.batch_size, collate_fn=loader.collate_fn)

    return subject.map_split(name, lambda split: replace(split, batches=build))


@fault()
def classes_numbered_per_split(subject: Subject) -> Subject:
    """The validation set lacks the folder of the first class and numbers the others from 0."""

    def named(data: Any, names: str) -> Any:
        data.class_to_idx = {name: place for place, name in enumerate(names)}
        return data

    valid = _with_data(subject, "valid", lambda data: named(data, "bcd"))
    return _with_data(valid, "train", lambda data: named(data, "abcd"))


@fault(expect=Status.WARN)
def class_lost_in_training(subject: Subject) -> Subject:
    """A filter drops one class from train."""
    last = max(int(sample["label"]) for sample in subject.splits["train"].batches().dataset)  # type: ignore[attr-defined]
    return _with_data(subject, "train", lambda data: [sample for sample in data if int(sample["label"]) != last])
