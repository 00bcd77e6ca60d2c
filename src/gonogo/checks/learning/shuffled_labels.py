"""What is learned of some samples must tell something of others."""

from collections.abc import Sequence
from typing import Any

import torch

from gonogo.audit import fields
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers import controls
from gonogo.instruments.answers.controls import Pairing
from gonogo.training import batch as nested
from gonogo.training.session import Session, all_of
from gonogo.training.subject import Split, Subject

LOOKS = (2, 8, 30, 100, 250, 400)  # steps after which it is asked whether anything carries over
POSSIBLE = 3.0  # standard deviations that chance may give
FEW = 2  # batches at each look
# Of what the seen samples gain. Measured on healthy programs: 0.55 to 1.2, but 0.03 +- 0.26 on a hundred clips of many
# features, which any model learns by heart: what may be a quarter is not called nothing.
LITTLE = 0.25
_OURS = "ours: three standard deviations of the control, at every look"


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN, C.VALID},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps"),
    criteria=[at_most("unrelated", warn=0, source=_OURS), at_most("unrelated_valid", warn=0, source=_OURS)],
    since="0.2",
)
def shuffled_labels(session: Session, *, batches: int = 12, seconds: float = 4.0) -> Observation:
    """Labels have to do with their inputs | Labels have nothing to do with their inputs

    What: trains on two of three training batches and asks the third whether the answers suit their own targets better
        than those of other samples. The control is the same loss of the same answers with the rows of the batch
        exchanged. `unrelated` is 1 if the answers suit the samples trained on beyond all chance, and at no time those
        left out; `unrelated_valid` is 1 if they suit training samples that were left out, and not those of valid.
    Why: labels that slipped by a row, were sorted apart from their inputs or joined by a wrong key can be memorised,
        so the loss falls as ever. A class order or preprocessing that differs in valid shows only there.
    Fix: print ten samples with their labels as the model gets them. If that is right, data are too few or too noisy
        for any relation to be found in this little time; say so by waiving the finding.
    Shapes: batches whose fields have a row per sample.
    Units: unrelated, unrelated_valid, held_out_share: 1.
    Source: ours; permutation tests, and the corrupted-label control of deep-learning debuggers.
    """
    if len(all_of(session.optimizer)) > 1:
        raise NotApplicable("the losses of players in a game say little about their answers")
    seen, held, valid = _parts(session, batches)
    shares, steps = _until_certain(session, seen, held, seconds, valid)
    last = shares[-1]
    own = controls.pairing(session, session.model, seen[: FEW if last and last.certain else len(held)])
    if last is None or own is None:
        raise NotApplicable("the loss does not compare the outputs of the model's calls with the rows of the batch")
    rows = [("trained on", own.gain, own.noise), ("left out", last.gain, last.noise)]
    found = {"held_out_share": _share(last, own), "unrelated": Measurement(0.0, n=steps)}
    if not last.certain:
        if not own.certain or _possible(shares, own):
            raise NotApplicable(f"inconclusive: {steps} steps are too few to tell what carries over to other samples")
        if _of_tokens(session, seen[0]):
            raise NotApplicable("inconclusive: a few sequences can be memorised long before anything carries over")
        found["unrelated"] = Measurement(1.0, n=steps)
    elif valid:
        beside, more = _until_certain(session, seen, valid, seconds)
        now = controls.pairing(session, session.model, held) if beside[-1] and not beside[-1].certain else last
        if beside[-1] is not None and now is not None:
            rows.append(("valid", beside[-1].gain, beside[-1].noise))
            found["unrelated_valid"] = Measurement(float(not _possible(beside, now)), n=steps + more)
    columns = ("samples", "gain of the true pairing", "standard deviation by chance")
    return Observation(found, (Table("Answers beside their own targets", columns, tuple(rows)),))


def _parts(session: Session, count: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Batches to train on, batches left out, and batches of valid; these are left out where train has too few."""
    given, valid = session.batches("train", limit=count), session.batches("valid", limit=max(count // 3, 1))
    if len(given) < 3:
        return given, valid, []
    return [batch for place, batch in enumerate(given) if place % 3 != 2], given[2::3], valid


def _until_certain(
    session: Session, seen: Sequence[Any], asked: Sequence[Any], seconds: float, more: Sequence[Any] = ()
) -> tuple[list[Pairing | None], int]:
    """What the answers to `asked` are worth after some steps, until that is certain or the budget spent; the steps."""
    shares = [controls.pairing(session, session.model, asked[:FEW])]
    steps, end = 0, session.seconds_left - min(seconds, session.seconds_left / 2)
    for look in LOOKS:
        told = shares[-1].certain if shares[-1] else steps > LOOKS[0]  # a head that starts at zero tells nothing yet
        if told or session.seconds_left < end:
            break
        while steps < look * max(session.claims.accumulation, 1) and (steps < LOOKS[0] or session.seconds_left > end):
            session.step(nested.clone(seen[steps % len(seen)]))
            steps += 1
        shares.append(controls.pairing(session, session.model, asked[:FEW]))
    if shares[-1] is not None and not shares[-1].certain:  # nothing is said against a run before all was asked
        shares.append(controls.pairing(session, session.model, [*asked, *more]))
    return shares, steps


def _of_tokens(session: Session, batch: Any) -> bool:
    """Does a sample have many classes to predict: one for each token or pixel?"""
    target = fields.roles(batch, session.claims).target
    given = nested.tensors(batch if target is None else target).values()
    return any(one.dim() > 1 and one.shape[1] > 1 and not one.is_floating_point() for one in given)


def _possible(shares: Sequence[Pairing | None], reference: Pairing) -> bool:
    """May there be a relation that chance or the small number of steps hides?"""
    suits = any(share is not None and share.gain > POSSIBLE * share.noise for share in shares)
    last = shares[-1]
    return suits or last is None or last.gain + 2 * last.noise > LITTLE * reference.gain


def _share(one: Pairing, reference: Pairing) -> Measurement:
    low, high = ((one.gain + sign * POSSIBLE * one.noise) / reference.gain for sign in (-1, 1))
    return Measurement(one.gain / reference.gain, low=min(low, high), high=max(low, high))


def _relabelled(subject: Subject, name: str) -> Subject:
    """The labels of one split moved on by a row within each batch, by several with every batch."""

    def changed(split: Split) -> Split:
        def batches() -> list[Any]:
            return [_moved(batch, 1 + place % 5, subject) for place, batch in enumerate(split.batches())]

        return Split(batches, split.groups)

    return subject.map_split(name, changed)


def _moved(batch: Any, by: int, subject: Subject) -> Any:
    own = {id(leaf) for _, leaf in nested.walk(fields.roles(batch, subject.claims).target)}
    return nested.map_leaves(lambda _, leaf: torch.roll(leaf, by, 0) if id(leaf) in own else leaf, batch)


@fault(expect=Status.WARN)
def labels_slipped(subject: Subject) -> Subject:
    """The labels of every training batch slipped by some rows."""
    return _relabelled(subject, "train")


@fault(expect=Status.WARN)
def labels_of_valid_slipped(subject: Subject) -> Subject:
    """The labels of every batch of valid slipped by some rows."""
    return _relabelled(subject, "valid")
