"""How far a stream is padded must not change what is said of any."""

from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.instruments.streams.answers import EXACT, convolves, padding_changes
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN, C.MODALITY_CLAIM},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    explains=("sequence.padding", "sequence.position", "model.batch-mixing"),
    criteria=[
        at_most(
            "outputs", fail=EXACT, source="float64: right masks 1e-16, positions that shift 1e-2, read padding 1e-3"
        )
    ],
    since="0.3",
)
def padding(session: Session) -> Observation:
    """Padding of one stream changes nothing | Padding of one stream changes the answer

    What: appends 13 steps, and 1, to one stream at a time, with all fields that have a number for each of its steps;
        its mask says that they are not there. `outputs` is the largest relative change of any answer, in evaluation
        mode and float64. Streams whose mask does not change any answer are left out. In models that convolve, where
        zeros behind a stream are common and small, a change is no more than a warning.
    Why: batches are padded to their longest sample, so the same sample is answered differently beside a longer one.
        Positions counted through the concatenation of streams move the second by the padding of the first; recurrent
        layers start their way back in the padding.
    Fix: count positions within each stream, or take them from time; pack_padded_sequence for recurrent layers; hand
        the mask to every attention, and divide means by the number of real steps.
    Shapes: streams [b, t, ...] with masks [b, t].
    Units: outputs: 1.
    Source: ours; measured on a published multimodal transformer: 2e-2 on a scale of 3e-2.
    """
    found = padding_changes(session)
    worst = max(one.change for one in found)
    low = 0.0 if convolves(session) else worst
    rows = tuple((one.stream, one.steps, one.output, one.change) for one in found)
    columns = ("stream", "steps appended", "output", "largest change")
    return Observation(
        {"outputs": Measurement(worst, low=low, high=worst, n=len(found))},
        (Table("What padding of one stream changes", columns, rows),),
    )


@fault(toy="multimodal_attention")
def positions_run_through_all_streams(subject: Subject) -> Subject:
    """A step's place is its index in the concatenation of all streams."""

    def change(model: nn.Module) -> nn.Module:
        places: Any = model.places

        def placed(_: nn.Module, given: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
            x, memory, mask = given
            return x, memory + 0.5 * places[: memory.shape[1]].to(memory), mask

        model.get_submodule("attention").register_forward_pre_hook(placed)
        return model

    return subject.map_model(change)


@fault(toy="multimodal_attention")
def hidden_steps_attended(subject: Subject) -> Subject:
    """Hidden steps are zeros, which the attention reads as well."""

    def change(model: nn.Module) -> nn.Module:
        hook = lambda _, given: (*given[:2], torch.ones_like(given[2]))  # noqa: E731
        model.get_submodule("attention").register_forward_pre_hook(hook)
        return model

    return subject.map_model(change)
