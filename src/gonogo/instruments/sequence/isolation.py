"""Which outputs depend on which inputs: positions of a sequence are changed in content, the shape stays.

Legend of shapes: b rows, t positions.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gonogo.errors import NotApplicable
from gonogo.instruments.answers.recorded_call import Probe, recorded
from gonogo.instruments.memo import instrument
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session

# A field with such a name says something about positions; it is not what stands there.
_ABOUT = re.compile(r"mask|posit|segment|document|doc_|type|length|weight|seq_id|sequence_id|lang", re.IGNORECASE)


@dataclass(frozen=True)
class View:
    """A stream read as [b, t, ...]: which axis holds the rows, and which the positions."""

    path: str
    rows: int
    time: int

    def of(self, tensor: Tensor) -> Tensor:
        """The tensor with rows and positions in front."""
        return tensor.movedim((self.rows, self.time), (0, 1))

    def back(self, tensor: Tensor) -> Tensor:
        """The inverse of `of`."""
        return tensor.movedim((0, 1), (self.rows, self.time))

    def output(self, output: Tensor, stream: Tensor) -> Tensor | None:
        """An output as [b, t, ...] if it has an entry for each position (one more or less allowed)."""
        b, t = stream.shape[self.rows], stream.shape[self.time]
        orders = [(self.rows, self.time), *([(0, 2), (0, 1)] if self.rows == 0 else [])]
        for rows, time in orders if output.dim() >= 3 else []:
            if output.shape[rows] == b and abs(output.shape[time] - t) <= 1:
                return output.movedim((rows, time), (0, 1))
        for length in (t, t - 1) if output.dim() == 2 and output.shape[1] > 1 else ():
            if length > 1 and output.shape[0] == b * length:
                sizes = (b, length) if self.rows < self.time else (length, b)
                return output.unflatten(0, sizes).movedim((min(self.rows, 1), min(self.time, 1)), (0, 1))
        return None


def views(probe: Probe) -> list[View]:
    """How the content of the inputs may be read: token ids if there are any, else features; every order of axes."""
    streams = {p: s for p, s in probe.streams.items() if not _ABOUT.search(p) and not _counts_up(s)}
    ids = {path: stream for path, stream in streams.items() if not stream.is_floating_point()}
    many = {path: stream for path, stream in ids.items() if int(stream.max()) > 1}
    orders = [(path, order) for path, s in (many or ids or streams).items() for order in _orders(s)]
    found = [View(path, rows, time) for path, (rows, time) in orders if probe.streams[path].shape[time] >= 3]
    return [view for view in found if output_of(probe, view) is not None]


@instrument
def positioned(session: Session) -> Probe:
    """The recorded call; of a causal model an output [b, t] reads as [b, t, 1] if it shrinks along with its input."""
    probe = recorded(session)
    if not session.claims.causal or views(probe):
        return probe
    single = {path for path, output in probe.outputs.items() if output.dim() == 2 and _shrinks(probe, path, output)}

    def call(inputs: Any) -> dict[str, Tensor]:
        return {path: out.unsqueeze(-1) if path in single else out for path, out in probe.call(inputs).items()}

    return replace(probe, call=call, cache={}) if single else probe


def _shrinks(probe: Probe, path: str, output: Tensor) -> bool:
    """Does an output lose its last column with the last position of the inputs? A head of as many classes does not."""
    b, t = output.shape
    if not any(stream.shape[:2] == (b, t) for stream in probe.streams.values()):
        return False
    streams = {name: leaf[:, :-1] for name, leaf in nested.tensors(probe.inputs).items() if leaf.shape[:2] == (b, t)}
    try:
        return probe.replay(streams)[path].shape == (b, t - 1)
    except Exception:  # a model that wants this length
        return False


def _orders(stream: Tensor) -> list[tuple[int, int]]:
    return [(0, 1), (1, 0)] if stream.dim() == 2 else [(0, 1), (0, 2), (1, 0)]


def _counts_up(stream: Tensor) -> bool:
    """Position ids rise by one along a row."""
    return not stream.is_floating_point() and bool((stream.diff(dim=1) == 1).float().mean() > 0.8)


def output_of(probe: Probe, view: View) -> str | None:
    """The path of the output with positions: the one called logits, or the first."""
    stream = probe.streams[view.path]
    fitting = [path for path, output in probe.outputs.items() if view.output(output, stream) is not None]
    return min(fitting, key=lambda path: "logits" not in path.lower(), default=None)


def padding_of(tokens: Tensor, pad: int | None = None) -> Tensor:
    """True where a token of [b, t] is padding: in a run of `pad` at either end, or of any token, two or longer."""
    found = torch.zeros(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    if tokens.is_floating_point() or tokens.dim() != 2:
        return found
    for end in (tokens[:, :1], tokens[:, -1:]):
        run = tokens == (end if pad is None else pad)
        run = run if end is not None and end.data_ptr() == tokens.data_ptr() else run.flip(1)
        run = run.long().cumprod(1).bool()
        run = run & (run.sum(1, keepdim=True) >= (2 if pad is None else 1))
        found |= run if end.data_ptr() == tokens.data_ptr() else run.flip(1)
    return found


def replaced(stream: Tensor, where: Tensor, seed: int) -> Tensor:
    """The stream [b, t, ...] with other content at `where` [b, t]: other tokens of the stream, noise on features.

    Raises:
        NotApplicable: The stream has fewer than two tokens to choose from.
    """
    generator = torch.Generator().manual_seed(seeding.derive(seed, "replaced"))
    if stream.is_floating_point():
        noise = torch.randn(stream.shape, generator=generator, dtype=torch.float64).to(stream)
        scale = stream[torch.isfinite(stream)].std().nan_to_num(1.0).clamp(min=1e-3)
        return torch.where(where.reshape(where.shape + (1,) * (stream.dim() - 2)), stream + scale * noise, stream)
    ordinary = stream[where].unique()
    if len(ordinary) < 2:
        ordinary = stream.unique()
    if len(ordinary) < 2:
        raise NotApplicable("all tokens of the batch are the same")
    index = torch.searchsorted(ordinary, stream.contiguous()).clamp(max=len(ordinary) - 1)
    step = torch.randint(1, len(ordinary), stream.shape, generator=generator).to(index)
    return torch.where(where, ordinary[(index + step) % len(ordinary)], stream)


def response(probe: Probe, view: View, where: Tensor) -> Tensor:
    """[b, t]: how much the output at each position changes when the stream changes at `where`, relative to its size."""
    output, stream = output_of(probe, view), probe.streams[view.path]
    assert output is not None  # views without an output are not handed out
    changed = view.back(replaced(view.of(stream), where, probe.seed)).contiguous()
    before = view.output(probe.outputs[output], stream)
    try:
        after = view.output(probe.replay({view.path: changed})[output], stream)
    except (RuntimeError, ValueError, IndexError, KeyError) as error:
        raise NotApplicable(f"the model refuses other content in {view.path}: {error}") from None
    if before is None or after is None or before.shape != after.shape:
        raise NotApplicable("the outputs have another shape at each call")
    change = relative(before, after)
    return torch.where(change <= probe.floor, 0.0, change)


def relative(before: Tensor, after: Tensor) -> Tensor:
    """[b, t]: the largest change at each position, relative to the size of the whole output; nan equals nan."""
    same = (before == after) | (torch.isnan(before) & torch.isnan(after))
    finite = before[torch.isfinite(before)]
    scale = float(finite.abs().max()) if finite.numel() else 1.0
    change = torch.where(same, 0.0, (before - after).abs()).nan_to_num(nan=1.0, posinf=1.0) / (scale or 1.0)
    return change.reshape(*change.shape[:2], -1).amax(2)


@dataclass(frozen=True)
class Reach:
    """What one view of the inputs has to do with the outputs.

    Attributes:
        view: The view.
        leak: Largest change of an output when only later positions change.
        past: Largest change of an output when only earlier positions change.
        rows: (cut position, leak, past), for tables; where nothing real stands behind a cut its past is None.
    """

    view: View
    leak: float
    past: float
    rows: tuple[tuple[int, float, float | None], ...]


@instrument
def reaches(session: Session, *, cuts: int = 3) -> tuple[Reach, ...]:
    """The reach of every view that ties positions together; padding is neither changed nor looked at."""
    probe = positioned(session)
    found: list[Reach] = []
    for view in views(probe):
        with suppress(NotApplicable):  # labels beside the tokens may refuse other content
            found.append(reach_of(probe, view, session.claims.pad_id, cuts))
    return tuple(reach for reach in found if reach.leak or reach.past)


def reach_of(probe: Probe, view: View, pad: int | None, cuts: int) -> Reach:
    """The reach of one view; further cuts only where the middle one shows anything."""
    content = view.of(probe.streams[view.path])
    real = ~(padding_of(content, pad) | padding_of(content)) if pad is not None else ~padding_of(content)
    t = real.shape[1]
    places = sorted(
        {max(t * (i + 1) // (cuts + 1) - 1, 0) for i in range(cuts)} | {t - 2}, key=lambda p: abs(p - t // 2)
    )
    rows: list[tuple[int, float, float | None]] = []
    for cut in places:
        rows.append((cut, *_at(probe, view, real, cut)))
        if not rows[0][1] and not rows[0][2] and len(rows) > 1:
            break
    return Reach(view, max(row[1] for row in rows), max(row[2] or 0.0 for row in rows), tuple(sorted(rows)))


def _at(probe: Probe, view: View, real: Tensor, cut: int) -> tuple[float, float | None]:
    places = torch.arange(real.shape[1], device=real.device)
    leak = _change(probe, view, real, (places > cut) & real, until=cut)
    past = _change(probe, view, real, (places <= cut) & real, behind=cut)
    return leak or 0.0, past


def _change(
    probe: Probe, view: View, real: Tensor, where: Tensor, until: int | None = None, behind: int | None = None
) -> float | None:
    """The largest change of real outputs up to, or behind, a position; None if there are none to look at."""
    if not bool(where.any()):
        return None
    change, t = response(probe, view, where), real.shape[1]
    places = torch.arange(change.shape[1], device=real.device)
    seen = functional.pad(real, (0, max(change.shape[1] - t, 0)), value=True)[:, : change.shape[1]]
    if until is not None:  # an output with fewer positions may have lost the first one
        seen = seen & (places <= until - max(t - change.shape[1], 0))
    if behind is not None:
        seen = seen & (places > behind) & where.any(1, keepdim=True)
    return float(change[seen].max()) if bool(seen.any()) else None
