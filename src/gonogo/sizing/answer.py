"""Does a program fit a device, and what fills it: one answer, from the trace of its step."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gonogo.sizing.card import fake_card
from gonogo.sizing.card.allocator import GIB, MIB
from gonogo.sizing.card.history import Fit, Peak
from gonogo.sizing.card.step import Exceeded, Traced, Untraceable
from gonogo.sizing.costs.devices import Device
from gonogo.sizing.costs.workload import Work, work_of
from gonogo.sizing.programs.program import MICRO, Program
from gonogo.sizing.strategies import named as strategies_
from gonogo.sizing.strategies.named import Strategy

HEADROOM = 0.10  # of the device's memory that should stay free
# Reserved bytes were predicted within 1.1 % on recorded steps of one model in two precisions; what has no record
# (fused attention, convolutions, sharding, low-bit states) gets the wider margin.
MARGIN, WIDE_MARGIN = 0.02, 0.05
_LIBRARY = {0: 0, 1: 0, 2: 544 * MIB}  # of the communication library, outside the allocator; more than 2 ranks: below
_LIBRARY_MORE = 688 * MIB


@dataclass(frozen=True, slots=True)
class Sizing:
    """The answer for one kind of device.

    Attributes:
        fit: On the capacity that context and communication leave; None if the step could not be traced.
        free: The same without any limit: what it would reserve.
        unknown: What could not be traced, in words; `lower_bound` bytes are needed at least.
        host_bytes: On the host, for what is offloaded.
        assumed: What was assumed on the way.
    """

    name: str
    device: Device
    count: int
    chosen: tuple[Strategy, ...] = ()
    parameters: int = 0
    fit: Fit | None = None
    free: Fit | None = None
    peak: Peak | None = None
    timeline: tuple[tuple[int, int], ...] = ()
    work: Work | None = None
    tokens: int = 1
    growth: int = 0
    host_bytes: int = 0
    unknown: str = ""
    lower_bound: int = 0
    margin: float = MARGIN
    assumed: tuple[str, ...] = field(default=())

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the strategies."""
        return tuple(one.name for one in self.chosen)

    @property
    def outside(self) -> int:
        """Bytes that the allocator never gets: the device's context and the communication library."""
        return self.device.context_bytes + _LIBRARY.get(self.count, _LIBRARY_MORE)

    @property
    def needed(self) -> int:
        """Bytes of the device in use at the peak."""
        return (self.free.reserved if self.free else self.lower_bound) + self.outside

    @property
    def headroom(self) -> float:
        """Share of the device that stays free; below 0 it does not fit without retries."""
        return 1.0 - self.needed / self.device.memory_bytes

    @property
    def go(self) -> bool:
        """Fits with the headroom wanted."""
        return self.fit is not None and self.fit.answer == "fits" and self.headroom >= HEADROOM

    @property
    def answer(self) -> str:
        """One line: fits, fits with retries, out of memory where, or unknown why."""
        if self.fit is None:
            return f"unknown: {self.unknown}; at least {self.lower_bound / GIB:.1f} GiB"
        if self.fit.answer == "fits":
            return "fits"
        if self.fit.answer == "retries":
            return f"fits with {self.fit.retries} allocator retries: slow and fragile"
        cause = self.fit.cause
        if cause is None:
            return "out of memory"
        module = f" of {cause.module}" if cause.module else ""
        return f"out of memory at {cause.operator} in {cause.phase}{module} ({cause.size / MIB:.0f} MiB wanted)"


def size(
    program: Program, device: Device, count: int, chosen: Sequence[Strategy] = (), *, steps: int = 3, stop: bool = False
) -> Sizing:
    """Trace a program under strategies and put it on a device; with several devices, one rank of it.

    With `stop` the trace ends as soon as it is sure that it does not fit: `unknown` says so then.
    """
    empty = Sizing(program.name, device, count, tuple(chosen), tokens=program.tokens)
    changed = strategies_.apply(program, chosen)
    try:
        with work_of() as work:
            traced = changed.trace(steps=steps, limit=device.memory_bytes - empty.outside if stop else None)
    except Exceeded:
        return replace(empty, unknown="it does not fit", lower_bound=device.memory_bytes)
    except Untraceable as reason:
        return replace(empty, unknown=str(reason), lower_bound=reason.history.peak().bytes)
    whole = work if changed.update else _repeated(work, changed.micro)
    answered = replace(empty, tokens=changed.tokens * changed.micro, work=whole, assumed=_assumed(traced, chosen))
    return on_device(answered, traced, chosen)


def _repeated(work: Work, micro: int) -> Work:
    """The work of a step of so many micro-batches, from that of those that were traced."""
    times = micro / min(micro, MICRO)
    counts = {kernel: n if kernel.phase == "update" else round(n * times) for kernel, n in work.counts.items()}
    return Work(Counter(counts))


def on_device(sizing: Sizing, traced: Traced, chosen: Sequence[Strategy]) -> Sizing:
    """The answer for its device from a trace."""
    history = traced.history
    per_parameter = sum(one.host_bytes_per_parameter for one in chosen)
    return replace(
        sizing,
        parameters=traced.parameters,
        fit=history.fit(sizing.device.memory_bytes - sizing.outside),
        free=history.fit(),
        peak=history.peak(),
        timeline=tuple(history.course()),
        growth=traced.growth,
        host_bytes=int(per_parameter * traced.parameters),
        margin=WIDE_MARGIN if fake_card.settle() or any(one.unvalidated for one in chosen) else MARGIN,
    )


def _assumed(traced: Traced, chosen: Sequence[Strategy]) -> tuple[str, ...]:
    said = [f"{one.name}: unvalidated, {one.unvalidated}" for one in chosen if one.unvalidated]
    said += [f"{where}: a value was asked for {times} times; 1 was answered" for where, times in traced.guesses.items()]
    said += [f"{what}: its size depends on values; the largest was taken" for what in traced.bounded]
    if different := fake_card.settle():
        said.append(different)
    if traced.growth > 0:
        said.append(f"live bytes grow by {traced.growth / MIB:.1f} MiB at every step: something is kept (a leak)")
    return tuple(said)
