"""An output of a causal model depends on earlier positions, and on no later one."""

import re
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_least, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.recorded_call import recorded
from gonogo.instruments.sequence.cut_rows import mixes
from gonogo.instruments.sequence.isolation import Reach, positioned, reaches, views
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_SEGMENTS = re.compile(r"seg|doc|posit|seq_id|sequence_id", re.IGNORECASE)


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN, C.CAUSAL_CLAIM},
    effort=Effort.STEP,
    explains=(
        *("sequence.", "attention.", "learning.", "loss.", "model.initial-loss"),
        *("model.input-dependence", "model.nonfinite-values"),  # a row with nothing to attend to is nan
    ),
    criteria=[
        at_most(
            "future",
            warn=1e-9,
            fail=1e-8,
            source="float64: right models give 0, convolutions by FFT 1e-15, faults 1e-4",
        ),
        at_least("past", warn=1e-12, source="ours: where it attends, something should get through; a warning"),
    ],
    since="0.1",
)
def causality(session: Session, *, cuts: int = 3) -> Observation:
    """No output depends on later positions | Outputs depend on later positions

    What: replays one call of the model in evaluation mode and float64, each time with other tokens (or features) behind
        a cut, or before it. `future` is the largest change of an output at or before the cut when only what comes after
        it changes; `past` is what gets through at the tightest cut: the change behind it when only what comes before
        changes. Padding is neither changed nor looked at. Of several inputs (encoder, decoder) the most causal counts.
    Why: with a mask that is missing, inverted, shifted by one, or added as zeros and ones, the model reads the answer:
        the training loss falls to nothing and generation is noise.
    Fix: look at the mask: True means "may attend" in scaled_dot_product_attention and "may not" in MultiheadAttention;
        an additive mask holds 0 and -inf; tril(diagonal=0); softmax over the keys; heads by reshape and then
        transpose. If the model may look ahead, drop Claims(causal=True).
    Shapes: inputs [b, t] or [b, t, f]; outputs [b, t], [b, t, ...], [b, ..., t] or [b * t, ...].
    Units: future, past: 1 (relative to the largest output).
    Source: A. Karpathy, A Recipe for Training Neural Networks (2019), "use backprop to chart dependencies";
        pytorch issues 21518 and 170415.
    """
    if not views(probe := positioned(session)):
        raise NotApplicable("no output of the model has the positions of an input")
    if not any(bool(torch.isfinite(output).any()) for output in probe.outputs.values()):
        raise NotApplicable("no output of the model is finite")
    found = reaches(session, cuts=cuts)
    if not found:
        past = {"past": Measurement(0.0)} if mixes(session) else {}  # a model of single tokens has nothing to hide
        return Observation({"future": Measurement(0.0), **past})
    best = min(found, key=lambda reach: (reach.past == 0, reach.leak))
    rows = tuple((reach.view.path, *row) for reach in found for row in reach.rows)
    return Observation(
        {"future": Measurement(best.leak), "past": Measurement(_past(session, best))},
        (Table("Change of outputs", ("input", "cut", "by later positions", "by earlier positions"), rows),),
    )


def _past(session: Session, best: Reach) -> float:
    """The smallest change over the cuts; in packed rows nothing need pass a cut, so there the largest."""
    packed = any(_SEGMENTS.search(path) for path in recorded(session).streams)
    return best.past if packed else min((past for _, _, past in best.rows if past is not None), default=0.0)


class _Wrapped(nn.Module):
    """A model whose output at each position goes through `change`."""

    def __init__(self, inner: nn.Module, change: Any) -> None:
        super().__init__()
        self.inner, self.change = inner, change

    def forward(self, *inputs: Any) -> Tensor:
        return self.change(self.inner(*inputs))


@fault(toy="causal_lm")
def mask_missing(subject: Subject) -> Subject:
    """The attention has no causal mask."""

    def change(model: nn.Module) -> nn.Module:
        attend = model.get_submodule("attention").forward
        model.get_submodule("attention").forward = lambda x, causal=False: attend(x)  # type: ignore[method-assign]
        return model

    return subject.map_model(change)


@fault(toy="padded_lm")
def one_too_far(subject: Subject) -> Subject:
    """Each position sees the next one, as with tril(diagonal=1)."""
    return subject.map_model(lambda model: _Wrapped(model, lambda out: out + 0.01 * out.roll(-1, 1)))


@fault(expect=Status.WARN, toy="causal_lm")
def positions_alone(subject: Subject) -> Subject:
    """Positions are taken for samples, so that attention has one position to attend to."""

    def change(model: nn.Module) -> nn.Module:
        module = model.get_submodule("attention")
        attend = module.forward
        module.forward = lambda x, causal=False: attend(x.flatten(0, 1).unsqueeze(1)).view_as(x)  # type: ignore[method-assign]
        return model

    return subject.map_model(change)
