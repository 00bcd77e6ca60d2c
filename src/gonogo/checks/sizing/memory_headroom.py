"""A run that does not fit its device ends after the queue, not before it."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_least, at_most
from gonogo.core.measurement import Observation
from gonogo.errors import NotApplicable
from gonogo.sizing import observe
from gonogo.sizing.answer import size
from gonogo.sizing.costs import devices
from gonogo.sizing.programs.program import of_subject
from gonogo.sizing.strategies import named as strategies
from gonogo.training.loop import Loss
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    criteria=[
        at_least("headroom", fail=0.0, warn=0.10, source="SAFE-6: a tenth free; fragmentation and other processes"),
        at_most("out_of_memory", fail=0, source="exact for a traced step, within the uncertainty of the report"),
        at_most("retries", warn=0, source="ours: each retry empties the cache and stops the device"),
        at_most("untraced", warn=0, source="ours: what cannot be traced is not known to fit"),
        at_most("growth", fail=0, source="exact: live bytes of one step to the next"),
    ],
    since="0.4",
)
def memory_headroom(session: Session) -> Observation:
    """The run fits its device with room to spare | The run does not fit its device

    What: runs three steps of the program on a simulated device without bytes and plays every allocation through the
        device's caching allocator. `headroom` is the share of the device that stays free at the peak, context and
        communication counted; `out_of_memory` is 1 if the allocator has to give up, `retries` how often it must empty
        its cache, `untraced` is 1 if the step needs values to run; `growth` is what each step keeps for ever.
    Why: out of memory ends a run after hours in a queue, often only at the optimizer's first step or at the longest
        batch. Gradient accumulation, the usual remedy, frees nothing that is always there.
    Fix: `gonogo size SUBJECT --gpu DEVICE` names the smallest changes that fit. If `growth` is above 0, look for losses
        or outputs that are kept without detach().
    Shapes: the first training batch.
    Units: headroom: 1; needed, growth: By; out_of_memory, untraced: {place}; retries: {attempt}.
    Source: PyTorch, CUDA semantics, "Memory management".
    """
    if not session.claims.devices:
        raise NotApplicable("no device is claimed: give Claims(devices='2xA5000'), or use gonogo size")
    [(count, device), *_] = devices.parse(session.claims.devices)
    chosen = strategies.parse(session.claims.strategies, count)
    return observe.memory(size(of_subject(session), device, count, chosen))


def _on(subject: Subject, device: str) -> Subject:
    return replace(subject, claims=replace(subject.claims, devices=device))


@fault()
def too_large(subject: Subject) -> Subject:
    """The loss makes a table of four billion pairs."""

    def change(loss: Loss) -> Loss:
        return lambda model, batch: loss(model, batch) + _table(4_000_000_000)

    return _on(subject.map_loss(change), "1xT4")


def _table(entries: int) -> Tensor:
    return torch.zeros(entries, device="cuda").sum()


@fault()
def kept(subject: Subject) -> Subject:
    """Every loss is kept, and its graph with it."""
    losses: list[Tensor] = []

    def change(loss: Loss) -> Loss:
        def keeping(model: nn.Module, batch: object) -> Tensor:
            losses.append(loss(model, batch))
            return losses[-1]

        return keeping

    return _on(subject.map_loss(change), "1xT4")


@fault(expect=Status.WARN)
def needs_values(subject: Subject) -> Subject:
    """The model sorts its sequences by lengths that only values tell."""

    def change(loss: Loss) -> Loss:
        def packing(model: nn.Module, batch: object) -> Tensor:
            lengths = torch.tensor([2, 1])
            packed = nn.utils.rnn.pack_padded_sequence(torch.ones(2, 3, 1), lengths, batch_first=True)
            return loss(model, batch) + 0 * packed.data.sum()

        return packing

    return _on(subject.map_loss(change), "1xT4")
