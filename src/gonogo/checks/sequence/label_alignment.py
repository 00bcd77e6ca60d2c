"""A language model is asked for the next token: neither for one that it sees, nor for the one after."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import within
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.sequence.foresight import all_foreseen
from gonogo.instruments.sequence.isolation import View
from gonogo.instruments.sequence.supervision import ROWS, Supervision, agreement, horizon, supervised, token_views
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_SHIFTS = (-1, 0, 1, 2, 3)


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values", "sequence.causality"),
    explains=("learning.", "sequence.token", "loss.", "model.initial-loss"),
    criteria=[
        within("ahead", fail=(1, 1), source="ours: all supervised tokens agree with one shift, so it is no statistic")
    ],
    since="0.1",
)
def label_alignment(session: Session, *, batches: int = 3) -> Observation:
    """Each position is asked for the next token | Positions are asked for the wrong token

    What: reads off the gradient of the loss which token each position is asked for, and compares with the tokens of the
        input. `ahead` is how many positions the wanted token stands behind the last one that this position sees:
        1 is the next token, 0 a token that it sees already, 2 one that was shifted twice. It is 0 as well where the
        wanted tokens stand later in the input and the output at a position changes with the one that it is asked for.
    Why: labels that nobody shifted, or a decoder whose input is its own target, turn the task into copying: the loss
        falls to zero within an epoch and the model can do nothing. Labels shifted twice (by the data and by the model)
        train a model that leaves out every second token.
    Fix: compare logits[:, :-1] with labels[:, 1:], once. Library models that take `labels` shift inside: give them
        the unshifted ones. The decoder of an encoder-decoder gets the target moved one to the right behind a begin,
        and a causal mask; heads are split by reshape and then transpose.
    Shapes: tokens [b, t], logits [b, t, v], [b, v, t] or [b * t, v].
    Units: ahead: positions.
    Source: a project of ours whose first run reached 100 % in an epoch (decoder input = target); ours.
    """
    views = token_views(session)
    rows: list[tuple[str, int, int, int]] = []
    found: dict[View, tuple[int, ...]] = {}
    wanted: dict[View, tuple[Supervision, ...]] = {}
    for view in views:
        seen = wanted[view] = supervised(session, view=view, batches=batches)
        counts = {shift: agreement(seen, shift) for shift in _SHIFTS}
        rows += [(view.path, shift, equal, of) for shift, (equal, of) in counts.items()]
        sees = horizon(session, view=view)
        found[view] = tuple(shift - sees for shift, (equal, of) in counts.items() if of >= ROWS and equal >= 0.98 * of)
        if 1 not in found[view]:
            found[view] = tuple(s - sees for s, (equal, of) in counts.items() if of >= ROWS and equal == of)
    ahead = 0 if all_foreseen(session, wanted) else _decide(session, list(found.values()))
    table = Table("Wanted tokens that stand so many positions later in the input", _COLUMNS, tuple(rows))
    return Observation({"ahead": Measurement(ahead, "{position}", n=rows[0][3])}, (table,))


_COLUMNS = ("input", "positions later", "equal", "compared")


def _decide(session: Session, found: list[tuple[int, ...]]) -> int:
    if any(1 in fitting for fitting in found):
        return 1
    wrong = [ahead for fitting in found for ahead in fitting]
    # Without the claim an input that is asked for again may be the idea: autoencoders, correction, tagging.
    if 0 in wrong and (session.claims.causal or len(found) > 1):
        return 0
    if 2 in wrong and session.claims.causal:
        return 2
    raise NotApplicable("the loss does not ask for the tokens of the model's input")


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)


@fault(toy="padded_lm")
def labels_not_shifted(subject: Subject) -> Subject:
    """Each position is asked for the token that it sees."""
    predict: Any = subject.predict
    return subject.map_loss(lambda loss: lambda model, batch: _cross_entropy(predict(model, batch), batch["labels"]))


@fault(toy="causal_lm")
def labels_shifted_twice(subject: Subject) -> Subject:
    """Each position is asked for the token after the next."""
    predict: Any = subject.predict

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return _cross_entropy(predict(model, batch)[:, :-2], batch["labels"][:, 2:])

    return subject.map_loss(lambda right: loss)


@fault(toy="seq2seq")
def decoder_sees_its_target(subject: Subject) -> Subject:
    """The input of the decoder is the target itself, not moved to the right."""

    def predict(model: nn.Module, batch: Any) -> Tensor:
        return model(batch["source"], batch["source_mask"], batch["labels"].clamp(min=0))

    return subject.map_loss(lambda loss: lambda model, batch: _cross_entropy(predict(model, batch), batch["labels"]))
