"""Linear layers in a row with nothing between are one linear layer."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.answers.recorded_call import wake
from gonogo.instruments.answers.rows import sample_rows
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject

_ROUNDING = 1e-10  # relative, in float64
_FAR = 10.0  # inputs this many times as large reach both sides of a bend


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[at_most("chained", warn=0, source="exact in float64; deep linear networks are studied on purpose")],
    explains=("learning.",),
    since="0.2",
)
def nonlinearity(session: Session) -> Observation:
    """Layers have a nonlinearity between them | Layers have no nonlinearity between them

    What: answers two batches of features and their midpoint, in float64 and evaluation mode. Where every answer at the
        midpoint is the mean of the two answers the model is one linear map; `chained` counts its trainable linear
        layers whose input is the output of another one that is not narrower than what it stands between.
    Why: without an activation a deep network can say no more than a single layer, and is slower to learn it.
    Fix: put the activation between the layers (in nn.Sequential, or in forward). A bottleneck (a factorised matrix, a
        low-rank adapter) has a reason, and is not counted.
    Shapes: features [b, ...]; models of token ids are not asked.
    Units: layers.
    Source: NeuraLint (Nikanjam et al., 2021); DeepCrime (Humbatova et al., 2021), removed activations.
    """
    [batch] = session.batches("train", limit=1)
    sample_rows(session, batch)
    if not any(isinstance(module, nn.Linear) for module in session.model.modules()):
        raise NotApplicable("the model has no linear layer")
    chains = _chains(session, batch)
    if not chains:
        return Observation({"chained": Measurement(0, "{layer}")})
    chains = chains if _is_affine(session, batch) else []
    return Observation(
        {"chained": Measurement(len(chains), "{layer}")},
        (Table("Linear layers in a row", ("layer", "follows"), tuple(chains)),),
    )


def _chains(session: Session, batch: Any) -> list[tuple[str, str]]:
    """(layer, the one whose output it takes as it is)."""
    model = session.copy_model()
    calls: list[tuple[str, nn.Linear, Tensor, Tensor]] = []
    linear = {name: module for name, module in model.named_modules() if type(module) is nn.Linear}

    def note(name: str, module: nn.Linear) -> Any:
        return lambda _, args, out: calls.append((name, module, args[0], out)) if args else None

    handles = [module.register_forward_hook(note(name, module)) for name, module in linear.items()]
    try:
        _outputs(session, model, batch)
    finally:
        for handle in handles:
            handle.remove()
    found = [
        (after[0], before[0])
        for before, after in pairwise(calls)
        if after[2].shape == before[3].shape and torch.equal(after[2], before[3]) and _is_spare(before[1], after[1])
    ]
    return sorted(set(found))


def _is_spare(first: nn.Linear, second: nn.Linear) -> bool:
    """Are both trained, and is the number of features between them no bottleneck?"""
    trained = first.weight.requires_grad and second.weight.requires_grad
    return trained and first.out_features >= min(first.in_features, second.out_features)


def _is_affine(session: Session, batch: Any) -> bool:
    """Is the answer to the mean of two batches the mean of the answers?"""
    floats = {path: leaf.double() for path, leaf in nested.tensors(batch).items() if leaf.is_floating_point()}
    model = session.copy_model(torch.float64)
    wake(model, session.seed)
    here = {path: _FAR * leaf for path, leaf in floats.items()}
    there = {path: leaf.roll(1, 0) if leaf.dim() else leaf for path, leaf in floats.items()}
    between = {path: (here[path] + there[path]) / 2 for path in floats}
    try:
        one, other, middle = (
            _outputs(session, model, nested.map_leaves(lambda path, leaf, given=given: given.get(path, leaf), batch))
            for given in (here, there, between)
        )
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:  # a precision of its own, arrays
        raise NotApplicable(f"the model does not answer in float64: {error}") from None
    pairs = [(one[path], other[path], middle[path]) for path in one if one[path].shape == middle[path].shape]
    varied = any(not torch.equal(a, b) for a, b, _ in pairs)
    return varied and all(bool(_close((a + b) / 2, m)) for a, b, m in pairs)


def _close(mean: Tensor, middle: Tensor) -> bool:
    return float((mean - middle).abs().max()) <= _ROUNDING * float(mean.abs().max())


def _outputs(session: Session, model: nn.Module, batch: Any) -> dict[str, Tensor]:
    with torch.no_grad(), evaluating(model), seeding.seeded(session.seed):
        return session.outputs(nested.clone(batch), model)


@fault(expect=Status.WARN)
def activations_removed(subject: Subject) -> Subject:
    """Nothing stands between the linear layers."""

    def change(model: nn.Module) -> nn.Module:
        for name, module in list(model.named_children()):
            if isinstance(module, nn.GELU | nn.ReLU):
                model.set_submodule(name, nn.Identity())
        return model

    return subject.map_model(change)
