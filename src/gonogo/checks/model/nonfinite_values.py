"""Everything behind a nan is nan."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    criteria=[at_most("nonfinite", fail=0, source="ours: a nan or inf spreads to every weight within two steps")],
    since="0.1",
)
def nonfinite_values(session: Session, *, batches: int = 2) -> Observation:
    """Weights, outputs, loss and gradients are finite | There are nan or infinite values

    What: runs forward and backward on some training batches and counts the tensors with values that are not finite,
        among weights, buffers, outputs, loss and gradients, before anything can clean them. Then it counts losses that
        are not finite in evaluation mode, where layers go other ways.
    Why: one nan in the loss makes every weight nan at the next step. Trainers that filter nan from their log hide it.
    Fix: the table names the first tensor that is not finite. Look at its inputs: division by zero, log of zero,
        a row of attention with every key masked, an exponent that overflows in half precision.
    Shapes: any.
    Units: nonfinite: tensors.
    Source: ours; masks of -inf in buffers and outputs are legitimate, so there only nan counts.
    """
    rows: list[tuple[str, int, int]] = []
    model = session.copy_model()
    for number, batch in enumerate(session.batches("train", limit=batches)):
        rows += _counted(f"batch {number}: ", _seen(session, model, batch))
    rows = _counted("", _state(model)) + (rows or _in_evaluation(session, model, batches))
    return Observation(
        {"nonfinite": Measurement(len(rows), "{tensor}", n=batches)},
        (Table("Tensors that are not finite", ("tensor", "bad values", "of"), tuple(rows)),),
    )


def _state(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from ((f"weight {name}", parameter) for name, parameter in model.named_parameters())
    yield from ((f"buffer {name}", _nan_only(buffer)) for name, buffer in model.named_buffers())


def _seen(session: Session, model: nn.Module, batch: object) -> Iterator[tuple[str, Tensor]]:
    outputs: list[Tensor] = []
    model.zero_grad(set_to_none=True)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(RuntimeError):  # TorchScript takes no hooks: loss and gradients still tell
            hook = model.register_forward_hook(lambda module, inputs, output: outputs.extend(_tensors(output)))
            stack.callback(hook.remove)
        loss = session.loss(batch, model)
    yield from ((f"output {index}", _nan_only(output)) for index, output in enumerate(outputs))
    yield "loss", loss
    if loss.requires_grad:
        loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            yield f"gradient {name}", parameter.grad


def _in_evaluation(session: Session, model: nn.Module, batches: int) -> list[tuple[str, int, int]]:
    """The losses in evaluation mode, after training mode has filled what running statistics there are."""
    rows: list[tuple[str, int, int]] = []
    for number, batch in enumerate(session.batches("train", limit=batches)):
        with torch.no_grad(), evaluating(model), seeding.seeded(session.seed):
            try:
                loss = session.loss(batch, model)
            except Exception:  # models that answer in another form when they evaluate have no loss there
                return []
        rows += _counted(f"batch {number}, evaluation mode: ", iter([("loss", loss)]))
    return rows


def _tensors(output: object) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else []


def _nan_only(tensor: Tensor) -> Tensor:
    return torch.isnan(tensor).to(torch.float32).masked_fill_(torch.isnan(tensor), torch.nan)


def _counted(prefix: str, found: Iterator[tuple[str, Tensor]]) -> list[tuple[str, int, int]]:
    rows: list[tuple[str, int, int]] = []
    for name, tensor in found:
        values = tensor.coalesce().values() if tensor.is_sparse else tensor.detach()
        bad = int((~torch.isfinite(values)).sum())
        if bad:
            rows.append((prefix + name, bad, values.numel()))
    return rows


@fault()
def nan_weight(subject: Subject) -> Subject:
    """One weight is nan."""

    def change(model: nn.Module) -> nn.Module:
        with torch.no_grad():
            next(model.parameters()).view(-1)[0] = torch.nan
        return model

    return subject.map_model(change)


@fault(toy="regressor")
def overflowing_loss(subject: Subject) -> Subject:
    """The loss is an exponential that overflows."""
    return subject.map_loss(lambda loss: lambda model, batch: (loss(model, batch) + 200).exp())


@fault(toy="regressor")
def nan_in_evaluation_only(subject: Subject) -> Subject:
    """Outside training the loss is the logarithm of a negative number."""
    return subject.map_loss(
        lambda loss: lambda model, batch: loss(model, batch) if model.training else (-1 - loss(model, batch)).log()
    )
