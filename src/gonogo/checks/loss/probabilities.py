"""A loss that applies its own softmax wants scores, not probabilities."""

import torch

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.loss.interception import Call, class_scores, louder, recorded
from gonogo.training.session import Session
from gonogo.training.subject import Subject

SUM = 1e-3  # how near to one probabilities add up in single precision


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    explains=("learning.", "gradient.", "model.initial-loss"),
    criteria=[at_most("softmax_twice", fail=0, source="ours: scores are on the simplex by accident only once")],
    since="0.1",
)
def probabilities(session: Session, *, batches: int = 3) -> Observation:
    """The loss gets scores | The loss gets probabilities and squashes them again

    What: watches what goes into cross_entropy and binary_cross_entropy_with_logits, on several batches in training
        mode, with the initial weights and with weights three times as large. `softmax_twice` counts the calls whose
        inputs are probabilities every time: not negative and adding up to one, or all between 0 and 1.
    Why: these losses apply log-softmax (or the sigmoid) themselves. Of probabilities they see values between 0 and 1
        only, so the loss can never come near 0 and gradients are small; training seems to work, slowly.
    Fix: return the scores of the last linear layer from forward; apply softmax or sigmoid where you predict.
    Shapes: scores (batch, classes, ...).
    Units: softmax_twice: calls.
    Source: pytorch.org CrossEntropyLoss, BCEWithLogitsLoss; ours. Log-probabilities are harmless and not counted.
    """
    model = session.copy_model()
    kinds: dict[tuple[int, str], list[bool]] = {}
    for factor in (1.0, 3.0):
        louder(model, factor)
        for batch in session.batches("train", limit=batches):
            for place, call in enumerate(recorded(session, model, batch, training=True)[0]):
                if call.name in ("cross_entropy", "binary_cross_entropy_with_logits"):
                    kinds.setdefault((place, call.name), []).append(_is_probability(call))
    if not kinds:
        raise NotApplicable("the loss calls neither cross_entropy nor binary_cross_entropy_with_logits")
    found = [(f"{name}, call {place + 1}", len(seen)) for (place, name), seen in kinds.items() if all(seen)]
    return Observation(
        {"softmax_twice": Measurement(len(found), "{call}", n=sum(map(len, kinds.values())))},
        (Table("Losses that get probabilities", ("loss", "times seen"), tuple(found)),),
    )


def _is_probability(call: Call) -> bool:
    with torch.no_grad():
        if call.name == "cross_entropy":
            scores = class_scores(call).float()
            return bool((scores >= 0).all() and ((scores.sum(-1) - 1).abs() < SUM).all())
        values = call.input.detach().float()
        # A head that starts at zero gives zeros, which are scores.
        return bool(values.numel() > 1 and (values >= 0).all() and (values <= 1).all() and (values > 0).any())


@fault()
def softmax_before_cross_entropy(subject: Subject) -> Subject:
    """The model ends in a softmax."""
    return subject.map_outputs(lambda output: output.softmax(-1))
