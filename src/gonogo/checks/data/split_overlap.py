"""A held-out sample that was trained on measures memory, not learning."""

from dataclasses import replace

from torch.utils.data import ConcatDataset, DataLoader, Subset

from gonogo.audit import overlap
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_SOURCE = "ours: an accuracy can gain at most the share of samples that it shares with train"


@check(
    needs=(C.TRAIN, C.VALID),
    effort=Effort.READ,
    criteria=[
        at_most("shared", warn=0.0, fail=0.005, source=_SOURCE),
        at_most("shared_simple", warn=0.0, source="ours: inputs of a few bits coincide by nature"),
    ],
)
def split_overlap(session: Session, *, min_bits: float = 32.0) -> Observation:
    """No held-out sample occurs in training | Held-out samples occur in training

    What: fingerprint the input of every sample (target, group and identifiers left out, before the data set's own
        random transforms where these can be switched off) and look each held-out one up in train. `shared` is the
        share of held-out samples found; those whose input holds fewer than `min_bits` bits (tiny grids, short texts,
        blank pages) coincide by nature and count in `shared_simple` instead.
    Why: a score on samples that were trained on says nothing about new ones. It happens by splitting twice with
        different seeds, by splitting after augmentation or oversampling, and by duplicates in the source.
    Fix: split once, by index or by group, before anything multiplies the samples; drop duplicates first. If this says
        "inconclusive", give more time; if samples cannot be compared, a data set whose random transform is an attribute
        named `transform`, so that they can be read as they are stored.
    Shapes: one fingerprint of 16 bytes per sample
    Units: shared, shared_simple: 1 (share of held-out samples; n: held-out samples read)
    Source: Elangovan et al. 2021, Memorization vs. Generalization, doi:10.18653/v1/2021.eacl-main.113
    """
    names = [name for name in ("valid", "test") if name in session.subject.splits]
    seconds = 0.6 * session.seconds_left / len(names)
    with seeding.seeded(session.seed):
        found = {name: overlap.find(session, name, seconds=seconds, min_bits=min_bits) for name in names}
    open_ = {name: one.unanswered for name, one in found.items()}
    if all(open_.values()):
        raise NotApplicable(f"samples cannot be compared: {' and '.join(str(why) for why in open_.values())}")
    found = {name: one for name, one in found.items() if not open_[name]}
    measurements: dict[str, Measurement] = {}
    for key, rich in (("shared", True), ("shared_simple", False)):
        shares = [one.share(rich) for one in found.values()]
        measurements[key] = max(shares, key=lambda share: (share.value or 0.0, share.high or 0.0))
    return Observation(measurements, (_examples(found), _what_was_read(found)))


def _examples(found: dict[str, overlap.Overlap]) -> Table:
    rows = [
        (name, held, train, "unknown" if other is None else "yes" if match.target == other.target else "no")
        for name, one in found.items()
        for held, (train, match, other) in sorted(one.found.items())
    ]
    return Table("Samples in both", ("split", "position there", "position in train", "same target"), tuple(rows))


def _what_was_read(found: dict[str, overlap.Overlap]) -> Table:
    sides = [side for one in found.values() for side in (one.train, one.held)]
    columns = ("split", "samples read", "of", "unreadable", "when read again")
    return Table("What was read", columns, tuple(side.row() for side in sides))


@fault()
def train_samples_in_valid(subject: Subject) -> Subject:
    """Ten training samples are appended to the validation split."""

    def build() -> DataLoader[object]:
        train, valid = subject.splits["train"].batches(), subject.splits["valid"].batches()
        both = ConcatDataset([valid.dataset, Subset(train.dataset, range(10))])  # type: ignore[attr-defined]
        return DataLoader(both, 16, collate_fn=valid.collate_fn)  # type: ignore[attr-defined]

    return subject.map_split("valid", lambda split: replace(split, batches=build, groups=None))


@fault(toy="regressor")
def valid_is_train(subject: Subject) -> Subject:
    """The training loader is used for validation as well."""
    return subject.map_split("valid", lambda _: subject.splits["train"])
