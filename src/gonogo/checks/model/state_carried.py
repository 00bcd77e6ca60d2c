"""What a model remembers of the batch before is an input that nobody sees."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation
from gonogo.errors import NotApplicable
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject

_OURS = "ours: the same batch, model and seed give the same answer bit for bit"


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    explains=(
        *(f"evaluation.{name}" for name in ("batch-size", "coverage", "metric-oracle", "repeat", "split")),
        *("learning.", "reproducibility.checkpoint", "reproducibility.resume", "model.batch-mixing"),
    ),
    criteria=[at_most("change_shuffled", fail=1e-6, source=_OURS), at_most("change_in_order", warn=1e-6, source=_OURS)],
    since="0.1",
)
def state_carried(session: Session) -> Observation:
    """The answer to a batch does not depend on the batch before | The answer depends on the batch before

    What: answers a batch with a fresh copy of the model, and with a copy that has answered another batch first, in
        evaluation mode and under one seed. `change_shuffled` is the largest difference where the loader shuffles, so
        that the batch before has nothing to do with this one; `change_in_order` the same where it does not.
    Why: a hidden state that is not reset, a cache, a running sum in forward: results depend on the order of requests.
    Fix: reset the state at the start of forward, or pass it in and out. Where sequences go on from batch to batch on
        purpose, keep the order and reset at their ends.
    Shapes: any.
    Units: change_shuffled, change_in_order: 1.
    Source: ours; pytorch.org, repackaging hidden states in the word language model example.
    """
    batches = session.batches("train", limit=2)
    first, second = batches[0], batches[-1]
    alone, after = session.copy_model(), session.copy_model()
    _answer(session, after, first)
    one, two = _answer(session, alone, second), _answer(session, after, second)
    if one.keys() != two.keys():
        raise NotApplicable("the outputs have another structure at each call")
    change = max((_relative(one[path], two[path]) for path in one), default=0.0)
    shuffled = _is_shuffled(session)
    return Observation({"change_shuffled" if shuffled else "change_in_order": Measurement(change)})


def _answer(session: Session, model: nn.Module, batch: Any) -> dict[str, Tensor]:
    with torch.no_grad(), evaluating(model), seeding.seeded(session.seed):
        return session.outputs(nested.clone(batch), model)


def _relative(one: Tensor, two: Tensor) -> float:
    if one.shape != two.shape:
        return 1.0
    gap = (one - two).abs().nan_to_num()
    scale = float(one.abs().nan_to_num(posinf=0.0).max()) if one.numel() else 0.0
    return float(gap.max()) / (scale or 1.0) if gap.numel() else 0.0


def _is_shuffled(session: Session) -> bool:
    loader = session.loader("train")
    return isinstance(loader, DataLoader) and isinstance(loader.sampler, RandomSampler)


class _Remembering(nn.Module):
    """Adds the mean of the outputs before."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.memory = inner, 0.0

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        output = self.inner(*inputs, **named) + self.memory
        self.memory = float(output.detach().mean())
        return output


@fault()
def hidden_state_not_reset(subject: Subject) -> Subject:
    """The model adds the mean of its last output to the next."""
    return subject.map_model(_Remembering)
