"""Which streams of which samples a model drops by chance, found by exchange of content under one seed.

A stream of a sample is dropped where the answer stays the same, bit for bit, although its content is another one.
Legend of shapes: n rows of a batch of copies, s streams.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gonogo.errors import NotApplicable
from gonogo.instruments.memo import instrument
from gonogo.instruments.streams.answers import Outputs, answer, awake
from gonogo.instruments.streams.fields import Stream, streams
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.settings import Setting, number, read, replaced, settings

_KINDS = frozenset(("modality", "modalities", "modal", "stream", "streams", "moddrop"))
_DROPS = frozenset(("drop", "dropout", "moddrop"))
_SOURCES, _MOST, _FEW, _LEAST = 8, 512, 64, 16  # distinct samples; copies of them in one pass
_SCORES, _PRODUCTS = 5e7, 2e10  # of attention, and of weights: what a pass may cost


@dataclasses.dataclass(frozen=True)
class Drops:
    """What was seen of some passes.

    Attributes:
        streams: The names of the streams.
        output: The answer that was looked at: of those that depend on every stream the one that loses most.
        dropped: In training mode, for each draw and stream [n * passes, s].
        evaluated: The same of fewer draws in evaluation mode; all False in a model that draws nothing there.
        together: Do all samples of a pass share one draw? Then each pass is one draw in `dropped`.
    """

    streams: tuple[str, ...]
    output: str
    dropped: Tensor
    evaluated: Tensor
    together: bool


@instrument
def drops(session: Session, *, passes: int = 4, rate: float = 0.0) -> Drops:
    """The dropped streams in some passes; with a `rate`, where the model keeps one that can be set to it.

    Raises:
        NotApplicable: There are fewer than two streams, no sample that has all, or no answer that depends on all.
    """
    known = streams(session)
    batch, n = _copies(session, known)
    model = awake(session)
    if rate:
        for holder, name in rates(session, model):
            object.__setattr__(holder, name, rate)
    for module in model.modules():
        module.training = not isinstance(module, _BatchNorm)  # its statistics tie samples to each other
    others = [one.with_other(batch, one.there(batch), session.seed) for one in known]
    few = list(range(min(_FEW, n)))
    some, other_some = nested.take_rows(batch, few, n), [nested.take_rows(other, few, n) for other in others]
    quiet = _unmoved(lambda batch, seed: answer(session, model, batch, seed), some, other_some, 0, len(few))
    _refuse_ties(session, model, some, other_some, len(few))
    moved = {path: one for path, one in quiet.items() if not bool(one.view(-1, _SOURCES, one.shape[1]).all(0).any())}
    if not moved:
        raise NotApplicable("no answer depends on each stream of a sample")
    seen = [
        _unmoved(lambda batch, seed: _answer(session, model, batch, seed), batch, others, seed, n)
        for seed in range(passes)
    ]
    total = {path: sum(int(one[path].sum()) for one in seen) for path in moved}
    output = max(total, key=lambda path: (total[path], "logit" in path.lower()))
    draws = [one[output] for one in seen]
    together = bool(all((one == one[:1]).all() for one in draws)) and total[output] > 0
    dropped = torch.cat([one[:1] for one in draws] if together else draws)
    return Drops(tuple(one.name for one in known), output, dropped, moved[output], together)


def raised(session: Session, rate: float) -> Drops | None:
    """The drops of one pass at another rate: set where the model keeps it, else by another configuration."""
    if next(rates(session, session.model), None) is not None:
        return drops(session, passes=1, rate=rate)
    found, change = _configured(session), session.subject.with_config
    if len(found) != 1 or change is None:
        return None
    with suppress(Exception):  # what cannot be built at this rate is not asked
        config = replaced(read(session.subject.config), found[0].keys, rate)
        return drops(Session(change(config), device=session.device, seed=session.seed), passes=1)
    return None


def declared(session: Session) -> tuple[str, float] | None:
    """The one rate of modality dropout that the configuration names, and its key; else the one that the model keeps."""
    found = [(row.path, number(row.value) or 0.0) for row in _configured(session)]
    if not found:
        found = [(f"{type(one).__name__}.{name}", getattr(one, name)) for one, name in rates(session, session.model)]
    return found[0] if len({value for _, value in found}) == 1 else None


def _configured(session: Session) -> list[Setting]:
    if session.subject.config is None:
        return []
    rows = [(row, number(row.value)) for row in settings(session.subject.config) if _is_rate(row)]
    return [row for row, value in rows if value is not None and 0 <= value < 1]


def rates(session: Session, model: nn.Module) -> Iterator[tuple[Any, str]]:
    """Where a model keeps its rate of modality dropout: (module, or settings of its own, name of the attribute)."""
    shared = {id(value) for module in session.model.modules() for value in vars(module).values()}
    for path, module in model.named_modules():
        keys = (*path.split("."), type(module).__name__)
        for name, value in list(vars(module).items()):
            if _is_rate(Setting((*keys, name), value)) and isinstance(value, float):
                yield module, name
            if dataclasses.is_dataclass(value) and (model is session.model or id(value) not in shared):
                inside = [
                    item.name for item in dataclasses.fields(value) if isinstance(getattr(value, item.name), float)
                ]
                yield from ((value, item) for item in inside if _is_rate(Setting((item,), None)))


def _is_rate(setting: Setting) -> bool:
    return bool(setting.words & _KINDS) and bool(setting.words & _DROPS)


def _copies(session: Session, known: tuple[Stream, ...]) -> tuple[Any, int]:
    """A batch of copies of a few samples that have every stream."""
    if len(known) < 2:
        raise NotApplicable("fewer than two streams of Claims(modalities=...) are in the batch")
    [batch] = session.batches("train", limit=1)
    whole = torch.stack([one.there(batch).any(1) for one in known]).all(0).nonzero().flatten().tolist()
    if not whole:
        raise NotApplicable("no sample of the first batch has every stream")
    fields = nested.tensors(batch)
    steps = sum(fields[one.content[0]].shape[1] for one in known)
    weights = sum(parameter.numel() for parameter in session.model.parameters())
    n = int(min(_MOST, max(_LEAST, min(_SCORES / steps**2, _PRODUCTS / (weights * steps + 1)))))
    n -= n % _SOURCES
    chosen = [whole[index % len(whole)] for index in range(_SOURCES)] * (n // _SOURCES)
    return nested.take_rows(batch, chosen, nested.size(batch) or len(whole)), n


def _answer(session: Session, model: nn.Module, batch: Any, seed: int) -> Outputs:
    """The outputs in the modes in which the model's parts are."""
    with torch.no_grad(), seeding.seeded(seeding.derive(session.seed, "drops", seed)):
        return session.outputs(nested.clone(batch), model)


def _unmoved(
    call: Callable[[Any, int], Outputs], batch: Any, others: list[Any], seed: int, n: int
) -> dict[str, Bool[Tensor, "n s"]]:
    """For each output with a row per sample: is it the same with other content of each stream?"""
    base = call(batch, seed)
    changed = [call(other, seed) for other in others]
    rows = [path for path, one in base.items() if one.dim() and len(one) == n and one.numel()]
    same = {path: [_equal_rows(base[path], other[path]) for other in changed] for path in rows}
    return {path: torch.stack(columns, 1) for path, columns in same.items()}


def _equal_rows(one: Tensor, other: Tensor) -> Bool[Tensor, " n"]:
    return (one.nan_to_num() == other.nan_to_num()).reshape(len(one), -1).all(1)


def _refuse_ties(session: Session, model: nn.Module, batch: Any, others: list[Any], n: int) -> None:
    """Refuse models whose answer to a sample depends on other samples: there nothing tells which one was dropped."""
    odd = torch.arange(n) % 2 == 1

    def half(path: str, leaf: Any) -> Any:
        other = changed.get(path)
        if other is None or not isinstance(leaf, Tensor) or leaf.shape[:1] != (n,):
            return leaf
        return torch.where(odd.to(leaf.device).reshape(-1, *[1] * (leaf.dim() - 1)), other, leaf)

    changed = nested.tensors(others[0])
    before, after = (answer(session, model, one) for one in (batch, nested.map_leaves(half, batch)))
    for path, one in before.items():
        if one.dim() and len(one) == n and not bool(_equal_rows(one, after[path])[~odd.to(one.device)].all()):
            raise NotApplicable("the answer to a sample depends on the others in its batch")
