"""What a configuration does: everything that can be seen of the first steps of the run that it describes."""

import copy
import hashlib
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from gonogo.errors import NotApplicable
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, all_of

Effects = dict[str, str]
# What is kept may not be used: a table that no layer looks up, a layer that is never called.
KEPT = ("layers", "buffers")
_HORIZON = 200  # calls of the scheduler: what becomes of the learning rate later


def effects(session: Session, config: Mapping[str, Any], *, steps: int = 3) -> Effects:
    """Digests of the data, the model, the optimizer, its steps and the evaluation under another configuration.

    All of it runs from the session's seed, so two configurations that do the same give equal digests.
    """
    change = session.subject.with_config
    if change is None:
        raise NotApplicable("no other configuration can be built: give Subject(with_config=...)")
    with seeding.seeded(session.seed):
        return _of(Session(change(copy.deepcopy(config)), device=session.device, seed=session.seed), steps)


def differing(one: Effects, other: Effects) -> list[str]:
    """The names of what is not the same."""
    return [name for name in one if one[name] != other.get(name)]


def _of(session: Session, steps: int) -> Effects:
    calls = min(steps * max(1, session.claims.accumulation), 24)
    batches = session.batches("train", limit=calls)
    model, optimizer = session.model, session.optimizer
    found: Effects = {
        "data": digest(batches[:steps]),
        "epoch": str({name: _length(split.batches()) for name, split in session.subject.splits.items()}),
        "parameters": digest([(n, tuple(p.shape), str(p.dtype), p.requires_grad) for n, p in model.named_parameters()]),
        "layers": digest([repr(m) for m in model.modules() if type(m).__module__.startswith("torch.nn")]),
        "initial weights": digest(dict(model.named_parameters())),
        "buffers": digest(dict(model.named_buffers())),
    }
    before = {name: digest(buffer) for name, buffer in model.named_buffers()}
    groups: list[str] = []
    handles = [one.register_step_pre_hook(lambda by, *_: groups.append(_groups(by))) for one in all_of(optimizer)]
    try:
        losses = [session.step(batches[at % len(batches)]) for at in range(calls)]
    finally:
        for handle in handles:
            handle.remove()
    moved = {name: buffer for name, buffer in model.named_buffers() if digest(buffer) != before.get(name)}
    found |= {"losses": digest(losses), "weights": digest(dict(model.named_parameters())), "optimizer": digest(groups)}
    found["statistics"] = digest(moved)
    return found | _after(session, model)


def _after(session: Session, model: nn.Module) -> Effects:
    parts = session.parts()
    found = {name: _state(parts[name]) for name in ("scheduler", "scaler", "ema") if name in parts}
    if "scheduler" in parts:
        found["schedule"] = _schedule(parts["scheduler"], session.optimizer)
    if session.subject.evaluate is not None and "valid" in session.subject.splits:
        batches = session.batches("valid", limit=2)
        try:
            found["evaluation"] = digest(dict(session.subject.evaluate(model, batches)))
        except Exception as error:  # an evaluation may want a loader; then that is all that is seen of it
            found["evaluation"] = type(error).__name__
    return found


def _groups(optimizer: Any) -> str:
    groups = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    return digest([type(optimizer).__name__, [len(group["params"]) for group in optimizer.param_groups], groups])


def _length(loader: Iterable[Any]) -> str:
    try:
        return str(len(loader))  # type: ignore[arg-type]
    except TypeError:
        return ""


def _state(part: Any) -> str:
    """Numbers and tensors that an object keeps: factors, periods, averages."""
    kept = part.state_dict() if isinstance(part, nn.Module) else vars(part) if hasattr(part, "__dict__") else {}
    return digest({key: value for key, value in kept.items() if _is_plain(value)})


def _is_plain(value: Any) -> bool:
    simple = bool | int | float | str | torch.Tensor | None
    if isinstance(value, Mapping):
        return all(_is_plain(item) for item in value.values())
    return isinstance(value, simple) or (isinstance(value, list | tuple) and all(_is_plain(item) for item in value))


def _schedule(scheduler: Any, optimizer: Any) -> str:
    rates: list[float] = []
    try:
        for _ in range(_HORIZON):
            with warnings.catch_warnings(action="ignore"):  # of an order that only matters in training
                scheduler.step()
            rates += [group["lr"] for one in all_of(optimizer) for group in one.param_groups]
    except Exception as error:  # it wants a metric, or has come to its end: its state was taken already
        rates.append(len(type(error).__name__))
    return digest(rates)


def digest(value: Any) -> str:
    """One short text for any nesting; tensors count bit for bit."""
    total = hashlib.blake2b(digest_size=12)
    for path, leaf in nested.walk(value):
        total.update(path.encode())
        if nested.is_numeric(leaf):
            tensor = nested.as_tensor(leaf).detach().cpu()
            total.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            total.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes() if _flat(tensor) else b"")
        else:
            total.update(repr(leaf).encode() if isinstance(leaf, bool | int | float | str | None) else b"?")
    return total.hexdigest()


def _flat(tensor: torch.Tensor) -> bool:
    return tensor.layout is torch.strided and tensor.numel() > 0
