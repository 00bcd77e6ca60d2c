"""A checkpoint must give back every tensor of the model."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.step import averages
from gonogo.instruments.step.resumed import Resumed, differing, resumed, tensors_of_model
from gonogo.training import batch as nested
from gonogo.training.session import Session
from gonogo.training.subject import Subject

ROUNDING = 1e-2  # what bfloat16 keeps of a number


@check(
    needs={C.MODEL, C.OPTIMIZER, C.TRAIN, C.SAVE},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps"),
    criteria=[
        at_most("lost", fail=0, source="ours: what is saved and loaded is the same, bit for bit"),
        at_most("rounded", warn=0, source="ours: checkpoints in half precision may be meant, so a warning"),
        at_most("unsaved_buffers", warn=0, source="ours: buffers that the model leaves out by declaration"),
    ],
    explains=("reproducibility.",),
    since="0.1",
)
def checkpoint_keys(session: Session) -> Observation:
    """A checkpoint gives back every tensor | A checkpoint loses tensors of the model

    What: trains some updates, saves by the run's own function, loads into a new instance, and compares all weights and
        buffers by name. `lost` counts those that are not what was saved, `rounded` those that changed by rounding or
        type only, `unsaved_buffers` those that training changed and that the model itself keeps out of its state.
    Why: strict=False hides names that match nothing (a prefix of a wrapper, a renamed layer); filters drop frozen, tied
        or adapter weights and statistics of norms. The run goes on, from fresh or half-fresh weights.
    Fix: load with strict=True, or look at the missing and unexpected names that load_state_dict returns; save the state
        of the unwrapped model; filter by names that you list, not by requires_grad.
    Shapes: any.
    Units: all: tensors.
    Source: pytorch issue 141256, timm issue 2003, DeepSpeed issue 5489, transformers issue 29903.
    """
    seen = _tried(session)
    if isinstance(seen, Observation):
        return seen
    saved, loaded = tensors_of_model(seen.unbroken.model), tensors_of_model(seen.loaded.model)
    different = dict(differing(saved, loaded))
    if _meant(session, seen, different, loaded):
        raise NotApplicable("the checkpoint holds the averaged or the best weights, not the last ones")
    kept = set(seen.unbroken.model.state_dict()) | {name for name, _ in seen.unbroken.model.named_parameters()}
    groups = {
        "lost": [name for name, gap in different.items() if name in kept and gap > ROUNDING],
        "rounded": [name for name, gap in different.items() if name in kept and gap <= ROUNDING],
        "unsaved_buffers": [name for name in different if name not in kept],
    }
    groups["rounded"] += [n for n in saved if n not in different and saved[n].dtype is not loaded[n].dtype]
    rows = tuple((name, kind, different.get(name, 0.0)) for kind, names in groups.items() for name in names)
    table = Table("Tensors that did not come back", ("tensor", "kind", "relative difference"), rows)
    return Observation({k: Measurement(len(names), "{tensor}", n=len(saved)) for k, names in groups.items()}, (table,))


def _tried(session: Session) -> Resumed | Observation:
    try:
        return resumed(session)
    except (RuntimeError, KeyError, ValueError, FileNotFoundError) as error:  # what was saved does not fit, or is not
        lines = tuple((line.strip(),) for line in str(error).splitlines() if line.strip())
        table = Table("The checkpoint cannot be saved or loaded", ("error",), lines)
        count = len(session.model.state_dict())
        return Observation({"lost": Measurement(count, "{tensor}")}, (table,))


def _meant(session: Session, seen: Resumed, different: dict[str, float], loaded: dict[str, Tensor]) -> bool:
    """Did the file hold other weights of the same run: its average, or its best?"""
    parts = session.parts(seen.unbroken.model, seen.unbroken.optimizer)
    average = averages.averaged(parts["ema"], seen.unbroken.model) if "ema" in parts else {}
    best = parts["best"]() if callable(parts.get("best")) else None
    state = best.state_dict() if isinstance(best, nn.Module) else best
    others = [average, nested.tensors(state)] if state is not None else [average]
    return bool(different) and any(_found_in(different, loaded, other) for other in others)


def _found_in(different: dict[str, float], loaded: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    by_end = {name: next((t for key, t in other.items() if key.endswith(name)), None) for name in different}
    return all(t is not None and name in loaded and torch.equal(t, loaded[name]) for name, t in by_end.items())


def _saving(subject: Subject, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Subject:
    def save(path: Path, model: nn.Module, optimizer: Any) -> None:
        torch.save({"model": change(dict(model.state_dict())), "optimizer": optimizer.state_dict()}, path)

    def load(path: Path, model: nn.Module, optimizer: Any) -> None:
        stored = torch.load(path, weights_only=True)
        model.load_state_dict(stored["model"], strict=False)
        optimizer.load_state_dict(stored["optimizer"])

    return replace(subject, save=save, load=load)


@fault()
def prefix_of_a_wrapper(subject: Subject) -> Subject:
    """Names carry a prefix that matches nothing, and strict=False hides it."""
    return _saving(subject, lambda state: {f"module.{name}": value for name, value in state.items()})


@fault(toy="regressor")
def last_layer_left_out(subject: Subject) -> Subject:
    """The last layer is not in the file."""
    return _saving(subject, lambda state: dict(list(state.items())[:-2]))


@fault(expect=Status.WARN)
def saved_in_half(subject: Subject) -> Subject:
    """The weights are saved in half precision."""
    return _saving(subject, lambda state: {name: value.to(torch.bfloat16) for name, value in state.items()})
