"""One sample that stands in for every broken file."""

from collections import Counter
from dataclasses import replace
from typing import Any

from torch.utils.data import DataLoader

from gonogo.audit import fields, samples
from gonogo.audit.fingerprints import Unreadable, fingerprint
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_TIMES = 5  # as often as the next most frequent sample: small inputs coincide, but not one alone


@check(
    needs={C.TRAIN},
    effort=Effort.READ,
    criteria=[at_most("share", warn=0.02, source="ours: one picture in fifty; blank pages may be that many")],
    since="0.2",
)
def default_samples(session: Session, *, limit: int = 2000) -> Observation:
    """No sample dominates training | One sample stands in for many

    What: fingerprints the input of up to `limit` training samples spread over the data set. `share` is that of the most
        frequent one among different indices, if it occurs more than five times as often as the next; else 0.
    Why: `except: return self[0]` keeps a run alive over broken files, and trains on sample 0 in place of all of them;
        nobody reads how many there were.
    Fix: look at the positions below; let broken files fail, or leave them out when the list of files is made.
    Shapes: one fingerprint per sample.
    Units: share: 1 (n: samples read).
    Source: ours.
    """
    source = samples.of_split(session, "train")
    if source.read is None or not source.count or source.origin is None:
        raise NotApplicable("the training samples are not read by index")
    seen: dict[bytes, list[int]] = {}
    origins = set()
    with seeding.seeded(session.seed):
        for position, sample in samples.Reading(source, 0.5 * session.seconds_left, session.seed):
            if (origin := source.origin(position)) in origins:
                continue  # oversampled on purpose
            origins.add(origin)
            seen.setdefault(_print(sample, session), []).append(position)
            if len(origins) >= limit:
                break
    counts = Counter({key: len(positions) for key, positions in seen.items()}).most_common(2)
    if not counts:
        raise NotApplicable("no training sample can be read")
    (key, most), (_, second) = counts[0], counts[1] if len(counts) > 1 else (b"", 0)
    alone = most > _TIMES * max(second, 1)
    rows = tuple((position,) for position in sorted(seen[key])) if alone else ()
    return Observation(
        {"share": Measurement(most / len(origins) if alone else 0.0, n=len(origins))},
        (Table("Positions with the same input", ("position",), rows),),
    )


def _print(sample: Any, session: Session) -> bytes:
    try:
        return fingerprint(fields.roles(sample, session.claims).input)
    except Unreadable as kind:
        raise NotApplicable(f"samples hold objects of a kind that cannot be compared ({kind})") from None


@fault(expect=Status.WARN)
def broken_files_become_the_first(subject: Subject) -> Subject:
    """Every twelfth sample cannot be read, and the first is returned in its place."""

    def build() -> DataLoader[Any]:
        loader: Any = subject.splits["train"].batches()
        data = [loader.dataset[0 if index % 12 == 5 else index] for index in range(len(loader.dataset))]
        return DataLoader(data, loader.batch_size, shuffle=True)  # type: ignore[arg-type]

    return subject.map_split("train", lambda split: replace(split, batches=build))
