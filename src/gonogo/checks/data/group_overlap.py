"""A held-out speaker that was heard in training is not new."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

from gonogo.audit import fields, samples
from gonogo.audit.intervals import wilson
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Split, Subject


@check(
    needs=(C.TRAIN, C.VALID, C.GROUPS),
    effort=Effort.READ,
    criteria=[at_most("shared", warn=0.0, fail=0.005, source="ours: as data.split-overlap")],
)
def group_overlap(session: Session) -> Observation:
    """No group is on both sides of the split | Groups are on both sides of the split

    What: compare the groups (speaker, patient, source document, stem) of train with those of valid and test, from
        `Split(groups=...)` or the field `Claims(group_key=...)`. `shared` is the share of held-out samples whose group
        also occurs in train.
    Why: samples of one group resemble each other. A model that recognises the group scores well on a split that
        shares it and fails on new groups, which is what it will meet.
    Fix: split by group (scikit-learn's GroupKFold or GroupShuffleSplit), and cut windows or crops after the split.
    Shapes: one group name per sample
    Units: shared: 1 (share of held-out samples; n: held-out samples)
    Source: Kaufman et al. 2012, Leakage in Data Mining, doi:10.1145/2382577.2382579
    """
    names = [name for name in ("valid", "test") if name in session.subject.splits]
    seconds = 0.6 * session.seconds_left / (len(names) + 1)
    with seeding.seeded(session.seed):
        train, trained_share = _groups(session, "train", seconds)
        held = {name: _groups(session, name, seconds) for name in names}
    shares = [_share(train, trained_share, *groups) for groups in held.values()]
    rows = [
        (name, group, count, train[group])
        for name, (groups, _) in held.items()
        for group, count in groups.most_common()
        if group in train
    ]
    table = Table("Groups in both", ("split", "group", "samples there", "samples in train"), tuple(rows))
    return Observation({"shared": max(shares, key=lambda share: (share.value or 0.0, share.high or 0.0))}, (table,))


def _share(train: Counter[str], trained: float, held: Counter[str], read: float) -> Measurement:
    n = held.total()
    hits = sum(count for group, count in held.items() if group in train)
    value = hits / n
    if trained == read == 1.0:
        return Measurement(value, n=n)
    low, high = wilson(hits, n) if read < 1.0 else (value, value)
    return Measurement(value, low=low, high=min(1.0, high / trained) if trained else 1.0, n=n)


def _groups(session: Session, name: str, seconds: float) -> tuple[Counter[str], float]:
    """Samples per group, and the share of the split that was read."""
    listed = session.split(name).groups
    if listed is not None:
        return Counter(fields.name_of(group) for group in listed()), 1.0
    if session.claims.group_key is None:
        raise NotApplicable(f"the split {name!r} names no groups; give Split(groups=...) or Claims(group_key=...)")
    reading = samples.Reading(samples.of_split(session, name, raw=True), seconds, session.seed)
    found = [fields.roles(sample, session.claims).group for _, sample in reading]
    counts = Counter(fields.name_of(group) for group in found if group is not None)
    if not counts:
        raise NotApplicable(
            f"no sample of {name!r} has the field {session.claims.group_key!r} of Claims(group_key=...)"
        )
    return counts, reading.share or 0.0


@fault()
def split_by_sample(subject: Subject) -> Subject:
    """Every sixteenth validation sample comes from a speaker who is also in train."""

    def renamed(groups: Sequence[Hashable]) -> list[Hashable]:
        known: Any = subject.splits["train"].groups
        return [known()[0] if index % 16 == 0 else group for index, group in enumerate(groups)]

    def change(split: Split) -> Split:
        groups = split.groups
        return replace(split, groups=lambda: renamed(groups() if groups else ["new"] * 64))

    return subject.map_split("valid", change)
