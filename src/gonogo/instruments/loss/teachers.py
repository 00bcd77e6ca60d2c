"""Frozen parts whose answer is a target: the loss depends on it, and no output of the model does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.errors import NotApplicable
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating

Answer = tuple[dict[str, Tensor], dict[str, Tensor]]  # (inputs, outputs)


def restless(session: Session, names: list[str], batch: Any) -> list[str]:
    """Which of these modules answers a target that is another one when the run's own step sees the batch again."""
    model = session.model
    seen: dict[str, list[Answer]] = {name: [] for name in names}
    with _hooked(model, names, lambda name, args, out: seen[name].append((_floats(args), _floats(out)))):
        session.step(nested.clone(batch))
        counts = {name: len(answers) for name, answers in seen.items()}
        session.step(nested.clone(batch))
    found = [name for name in names if _draws(seen[name], counts[name])]
    return [name for name in found if _is_target(session, name, batch)]


def _draws(answers: list[Answer], half: int) -> bool:
    """Did the first call of the second step get the inputs of the first one, and answer otherwise?"""
    if not half or half >= len(answers):
        return False
    (given, first), (again, second) = answers[0], answers[half]
    return _equal(given, again) and not _equal(first, second)


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[path], other[path]) for path in one)


def _is_target(session: Session, name: str, batch: Any) -> bool:
    model = session.copy_model()
    try:
        before = _asked(session, model, batch)
        with _hooked(model, [name], lambda _, args, out: nested.map_leaves(_moved, out)):
            after = _asked(session, model, batch)
    except Exception:  # an answer that cannot be exchanged is not known to be a target
        return False
    return _equal(before[0], after[0]) and before[1] != after[1]


def _asked(session: Session, model: nn.Module, batch: Any) -> tuple[dict[str, Tensor], float]:
    with torch.no_grad(), evaluating(model):
        with seeding.seeded(session.seed):
            outputs = _outputs(session, model, batch)
        with seeding.seeded(session.seed):
            return outputs, float(session.loss(nested.clone(batch), model))


def _outputs(session: Session, model: nn.Module, batch: Any) -> dict[str, Tensor]:
    """What the model answers; of a model that the loss runs in pieces, what all parts that are trained do."""
    with suppress(NotApplicable):
        return session.outputs(nested.clone(batch), model)
    names = [name for name, part in model.named_modules() if name and any(p.requires_grad for p in part.parameters())]
    found: list[tuple[str, dict[str, Tensor]]] = []
    with _hooked(model, names, lambda name, _, out: found.append((name, _floats(out)))):
        session.loss(nested.clone(batch), model)
    if not found:
        raise NotApplicable("the loss calls no part of the model that is trained")
    return {f"{place}.{name}.{path}": leaf for place, (name, out) in enumerate(found) for path, leaf in out.items()}


def _moved(path: str, leaf: Any) -> Any:
    if not isinstance(leaf, Tensor) or not leaf.is_floating_point():
        return leaf
    noise = torch.randn(leaf.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return leaf + noise.to(leaf)


def _floats(given: Any) -> dict[str, Tensor]:
    return {path: leaf.detach().clone() for path, leaf in nested.tensors(given).items()}


@contextmanager
def _hooked(model: nn.Module, names: list[str], look: Callable[[str, Any, Any], Any]) -> Iterator[None]:
    def hook(name: str) -> Callable[..., Any]:
        return lambda module, args, kwargs, out: look(name, [list(args), dict(kwargs)], out)

    modules = dict(model.named_modules())
    watched = [name for name in names if not isinstance(modules[name], torch.jit.ScriptModule)]  # they take no hooks
    handles = [modules[name].register_forward_hook(hook(name), with_kwargs=True) for name in watched]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
