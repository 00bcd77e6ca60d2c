"""Does a position of a sequence see the very token that it is asked for?

No claim is needed: an input that holds the wanted tokens some positions later is there to teach, and what reads them
there has nothing to learn. Legend of shapes: b rows, t positions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gonogo.errors import NotApplicable
from gonogo.instruments.answers.recorded_call import Probe, recorded
from gonogo.instruments.sequence.isolation import View, replaced, response
from gonogo.instruments.sequence.supervision import ROWS, Supervision, agreement
from gonogo.training.session import Session

_SHIFTS = (1, 2, 3)
_PLACES = 8
_LEAK = 1e-8  # relative; below it rounding, in float64
_PAIRS = 4  # rows and positions that must see their answer


def all_foreseen(session: Session, seen: dict[View, tuple[Supervision, ...]]) -> bool:
    """Do all inputs that hold the wanted tokens later show them to the positions that are asked for them?"""
    try:
        found = [foreseen(session, view, one) for view, one in seen.items()]
    except NotApplicable:  # an input that refuses other content
        return False
    asked = [sees for sees in found if sees is not None]
    return bool(asked) and all(asked)


def foreseen(session: Session, view: View, seen: tuple[Supervision, ...]) -> bool | None:
    """Do outputs change with the token that they are asked for?

    None where the loss does not ask for later tokens of this input. A summary of the whole row that reaches every
    position on purpose, as in an autoencoder of texts, shows nothing.
    """
    shift = next((s for s in _SHIFTS if _all_agree(*agreement(seen, s))), None)
    if shift is None or _all_agree(*agreement(seen, 0)):  # at 0 it may be an autoencoder, or all tokens are the same
        return None
    probe = recorded(session)
    tokens, wanted = seen[0].tokens, seen[0].wanted
    content = view.of(probe.streams[view.path])
    # Outputs that have lost a position, a begin for example, stand elsewhere than their number says.
    if not torch.equal(content, tokens) or wanted.shape != tokens.shape or len(tokens) < 2:
        return None
    asked = wanted[:, :-shift] >= 0
    places = asked.any(0).nonzero().flatten().tolist()
    chosen = sorted({places[i * (len(places) - 1) // (_PLACES - 1)] for i in range(_PLACES)} if places else ())
    found = [_sees(probe, view, place, shift) & asked[:, place] for place in chosen]
    # An event in a few rows (routing, a quantised scale) is no reading: at a place nearly all of them see it, or none.
    leaking = [hit for place, hit in zip(chosen, found, strict=True) if hit.sum() >= 0.9 * asked[:, place].sum()]
    hits = sum(int(hit.sum()) for hit in leaking)
    return hits >= _PAIRS and not _summarised(probe, view, chosen[len(chosen) // 2] + shift)


def _all_agree(equal: int, of: int) -> bool:
    return equal == of and of >= ROWS


def _sees(probe: Probe, view: View, place: int, shift: int) -> Tensor:
    """[b]: in which rows the output at a place changes when the token `shift` later does."""
    return response(probe, view, _at(probe, view, place + shift))[:, place] > _LEAK


def _at(probe: Probe, view: View, place: int) -> Tensor:
    where = torch.zeros_like(view.of(probe.streams[view.path]), dtype=torch.bool)
    where[:, place] = True
    return where


def _summarised(probe: Probe, view: View, place: int) -> bool:
    """Does a tensor without positions, one entry per row, change with a token: a code, a pooled state?"""
    stream = probe.streams[view.path]
    changed = view.back(replaced(view.of(stream), _at(probe, view, place), probe.seed)).contiguous()
    sizes = stream.shape[view.rows], stream.shape[view.time]
    notes: list[list[Tensor]] = []
    for streams in ({}, {view.path: changed}):
        with _summaries(*sizes) as note:
            probe.replay(streams)
        notes.append(note)
    if len(notes[0]) != len(notes[1]):
        return True
    return any(not torch.equal(one, other) for one, other in zip(*notes, strict=True) if one.shape == other.shape)


class _Summaries(TorchFunctionMode):
    def __init__(self, rows: int, time: int) -> None:
        super().__init__()
        self.rows, self.time = rows, time
        self.found: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        parts = out if isinstance(out, tuple | list) else (out,)
        self.found += [part.detach().clone() for part in parts if isinstance(part, Tensor) and self._is_summary(part)]
        return out

    def _is_summary(self, tensor: Tensor) -> bool:
        if not tensor.is_floating_point():
            return False
        sizes = [size for size in tensor.shape if size != 1]
        if self.rows not in sizes or self.rows * self.time in sizes:
            return False
        return len(sizes) <= 2 or not any(abs(size - self.time) <= 1 for size in sizes)


@contextmanager
def _summaries(rows: int, time: int) -> Iterator[list[Tensor]]:
    with _Summaries(rows, time) as mode:
        yield mode.found
