"""What is wrong with a training, told from a few numbers per look. Pure Python; each detector sees every look once.

The ideas and limits are those of the checks `watch.*`. A statistic needs a window, a wide limit and, where the answer
may come and go, several looks in a row: a false alarm costs more trust than a late one.
"""

import math
import statistics
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from gonogo.core.watch_settings import WatchSettings

WINDOW = 50  # losses
RISE, CALM = 3.0, 0.95  # of four windows over all before; of the last over the first
FEEDS = 1.25  # of each over the one before
FALL = 0.05  # of the start: a fall that shows that weights move
NOISE = 1.4826 * 1.2533  # standard error of a median from its median absolute deviation, times sqrt(n)
SPIKE = 10.0  # scaled median absolute deviations
COSTS = 60.0  # seconds of waiting for data that are worth a word
GROWTH, KEPT = 64 * 2**10, 512 * 2**20  # bytes per step, and in all
ASLEEP, TINY = 50, 1e-8  # steps; share of the largest learning rate


@dataclass(frozen=True, slots=True)
class Look:
    """The numbers since the last look. Losses are raw; memory in bytes; `waited` of `seconds` in the loader."""

    step: int
    losses: tuple[float, ...] = ()
    bad_gradients: int = 0
    rates: tuple[float, ...] = ()
    fixed: bool = True  # do the batches come from a data set that is read by index, and steps from these optimizers?
    unticked: bool = False  # is there a schedule that never stepped, though it had its time?
    epoch: int = 0
    memory: Mapping[str, int] = field(default_factory=dict)
    free: Mapping[str, int] = field(default_factory=dict)
    waited: float = 0.0
    seconds: float = 0.0
    shares: Mapping[str, float] = field(default_factory=dict)  # how far each gate is at one end, 0..1
    filling: bool = False  # may a cache or a buffer of data still be filling?


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: the name of its reaction, and a sentence that says what to do."""

    kind: str
    step: int
    text: str


class Nan:
    """Gradients, then losses, that are not finite."""

    def __init__(self) -> None:
        self.row = 0  # losses in a row that are not finite

    def see(self, look: Look) -> tuple[str, str] | None:
        """(kind, text) of what this look shows."""
        for loss in look.losses:
            self.row = 0 if math.isfinite(loss) else self.row + 1
        lost = sum(not math.isfinite(loss) for loss in look.losses)
        if look.bad_gradients:
            text = f"the optimizer stepped with {look.bad_gradients} gradients that are nan or infinite"
            return "nan", f"{text}: the weights are lost. Go back to the last checkpoint; lower the rate or clip"
        if self.row >= WINDOW:
            return "nan", f"the last {self.row} losses are nan or infinite: nothing is learned any more"
        if lost:
            return "nan_batch", f"{lost} of {len(look.losses)} losses are nan or infinite: empty batch, bad inputs?"
        return None


class Trend:
    """A loss that never falls, runs away, or jumps, where it means the same all along.

    Where data or targets are brought about by the model itself, losses rise in health. So they do by design (harder
    data, an annealed term, a penalty that sets in), but step by step, or they fall again; a divergence feeds itself.
    A loss of zero or below (a hinge, a likelihood, an advantage) has no height to fall from.
    """

    def __init__(self, limits: WatchSettings) -> None:
        self.limits = limits
        self.start: list[float] = []
        self.recent: deque[float] = deque(maxlen=4 * WINDOW)
        self.fresh = self.flat = self.judged = 0
        self.fallen, self.lowest, self.highest = False, math.inf, 0.0
        self.parts: deque[float] = deque(maxlen=4)  # medians of the last windows; those before are in the extremes

    def see(self, look: Look) -> tuple[str, str] | None:
        """(kind, text) of what this look shows."""
        if not look.fixed:
            return None
        finite = [loss for loss in look.losses if math.isfinite(loss)]
        jump = self._jump(finite)
        for loss in finite:
            if len(self.start) < WINDOW:
                self.start.append(loss)
            else:
                self.recent.append(loss)
                self.fresh += 1
        if self.fresh >= WINDOW:
            self.fresh = 0
            self._window()
        return self._away() or self._flat(look) or jump

    def _window(self) -> None:
        if len(self.parts) == 4:
            self.highest = max(self.highest, self.parts[0])
            self.lowest = min(self.lowest, self.parts[0])
        self.parts.append(statistics.median(self._last()))
        fall = self._height() - self.parts[-1]
        # A solver or a full batch may be done in a step or two, which no median shows.
        at_once = self.start[0] > (1 + FALL) * max(self.recent)
        self.fallen = self.fallen or at_once or fall > FALL * abs(self._height())

    def _jump(self, losses: list[float]) -> tuple[str, str] | None:
        if len(self.recent) < WINDOW or not losses:
            return None
        usual = statistics.median(self.recent)
        spread = max(1.4826 * _mad(self.recent), 1e-3 * abs(usual))
        worst = max(losses)
        beyond = max(2 * max(map(abs, self.recent)), 0.01 * abs(self._height()))  # no tail of its own, no last digit
        if worst > max(usual + SPIKE * spread, beyond):
            return "spike", f"the loss jumped to {worst:.4g}; it was {usual:.4g} before"
        return None

    def _away(self) -> tuple[str, str] | None:
        if len(self.parts) < 4 or not self._has_height():
            return None
        first, low, high, last = self._height(), min(self.parts), max(self.parts), self.parts[-1]
        back = high - low < 0.02 * first and abs(last - first) < FALL * first  # and not on its way through
        if back and self.lowest < 0.5 * first:
            return "divergence", f"the loss is back where it began ({first:.4g}), and stays: what was learned is lost"
        feeds_itself = all(b > FEEDS * a for a, b in pairwise(self.parts))
        if low > RISE * (first if feeds_itself else max(first, self.highest)) and last > CALM * self.parts[0]:
            text = f"the loss is {last:.4g} and was {first:.4g} at the start"
            return "divergence", f"{text}: lower the learning rate, if nothing makes the task harder by design"
        return None

    def _flat(self, look: Look) -> tuple[str, str] | None:
        """Asked once per epoch, or once per `no_fall_steps`; twice the same answer counts."""
        by_epoch, by_steps = look.epoch >= self.limits.no_fall_epochs, look.step // self.limits.no_fall_steps
        turn = look.epoch if by_epoch else -by_steps
        if turn in (0, self.judged) or len(self.recent) < WINDOW or self.fallen or not self._has_height():
            return None
        self.judged = turn
        first = statistics.median(self.start)
        error = 2 * NOISE * math.hypot(_mad(self.start), _mad(self._last())) / math.sqrt(WINDOW)
        # Within the noise, and the noise so small that a fall would have been seen.
        least = min(error, 0.01 * abs(first), FALL * abs(first) - error)
        fall = first - statistics.median(self._last())
        # Weights that move uphill are for `_away`, or a task is made harder.
        self.flat = self.flat + 1 if -FALL * first - error <= fall <= least else 0
        if self.flat >= 2:
            where = f"{look.epoch} epochs" if by_epoch else f"{look.step} steps"
            return "no_fall", f"after {where} the loss is where it began ({first:.4g}): do the weights move?"
        return None

    def _has_height(self) -> bool:
        """Not so where a loss has a sign, or is zero at first by design: a divergence from the model as it was."""
        return min(self.start) > 0 and self.start[0] > 0.01 * statistics.median(self.start)

    def _height(self) -> float:
        """From which it falls; in a fast training the first few losses are above the rest of the window."""
        return max(statistics.median(self.start), statistics.median(self.start[:5]))

    def _last(self) -> list[float]:
        return list(self.recent)[-WINDOW:]


class Waiting:
    """Training that waits for its data."""

    def __init__(self) -> None:
        self.row, self.waited = 0, 0.0

    def see(self, look: Look) -> tuple[str, str] | None:
        """(kind, text) of what this look shows."""
        share = look.waited / look.seconds if look.seconds else 0.0
        self.row, self.waited = (self.row + 1, self.waited + look.waited) if share > 0.5 else (0, 0.0)
        if self.row >= 3 and self.waited > COSTS:
            return "data_wait", f"{share:.0%} of the time goes by in the loader: more num_workers, persistent_workers"
        return None


class Memory:
    """Memory that every step leaves behind.

    Data sets fill their caches in the first epoch, buffers of experience later: so far, what is kept on the host counts
    when it is more than what is left.
    """

    def __init__(self) -> None:
        self.seen: dict[str, list[tuple[int, int]]] = {}
        self.filling = False

    def see(self, look: Look) -> tuple[str, str] | None:
        """(kind, text) of what this look shows."""
        if self.filling and not look.filling:
            self.seen.clear()
        self.filling = look.filling
        for name, size in look.memory.items():
            points, free = self.seen.setdefault(name, []), look.free.get(name, 0)
            points.append((look.step, size))
            if len(points) < WINDOW:
                continue
            if not _straight(points):
                del points[0]
            elif size - points[0][1] < (max(KEPT, free) if name == "host" and look.filling else KEPT):
                del points[1::2]  # see farther back: small leaks take long
            elif text := _leak(name, points, free):
                return "memory", text
        return None


def _straight(points: list[tuple[int, int]]) -> bool:
    """A cache that fills or a longer batch comes in jumps; what every step leaves behind is a straight line."""
    steps, sizes = zip(*points, strict=True)
    steady = sum(b > a for a, b in pairwise(sizes)) > 0.8 * (len(sizes) - 1)
    return steady and statistics.correlation(steps, sizes) > 0.98


def _leak(name: str, points: list[tuple[int, int]], free: int) -> str:
    slope = statistics.linear_regression(*zip(*points, strict=True)).slope
    if slope < GROWTH:
        return ""
    rest = f", full after {free / slope:.0f} more" if free else ""
    return f"{name} memory grows by {slope / 2**20:.2f} MiB per step{rest}: detach() what is kept of each step"


class Collapse:
    """A gate that is at one end, or shares that all go to one stream, for good."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def see(self, look: Look) -> tuple[str, str] | None:
        """(kind, text) of what this look shows."""
        for name, share in look.shares.items():
            self.rows[name] = self.rows.get(name, 0) + 1 if share > 0.99 else 0
            if self.rows[name] >= 10:
                return "collapse", f"{name} has the same extreme answer for all samples: what it gates is not used"
        return None


class Rate:
    """A learning rate of zero, or a schedule that never steps."""

    def __init__(self) -> None:
        self.largest, self.since = 0.0, -1
        self.first: tuple[float, ...] = ()
        self.moved = False

    def see(self, look: Look) -> tuple[str, str] | None:
        """(kind, text) of what this look shows."""
        if not look.rates:
            return None
        rate = max(abs(rate) for rate in look.rates)
        self.largest = max(self.largest, rate)
        self.first = self.first or look.rates
        self.moved = self.moved or look.rates != self.first
        if self.since < 0 or rate > TINY * self.largest:
            self.since = look.step
        if look.step - self.since >= ASLEEP:
            return "learning_rate", f"the learning rate was zero for {look.step - self.since} steps: nothing moves"
        if look.unticked and not self.moved and look.epoch >= 2:
            return "learning_rate", f"after {look.epoch} epochs the schedule never stepped: call scheduler.step()"
        return None


class Detectors:
    """All of them; each kind is told once, spikes at most once in a hundred steps."""

    def __init__(self, limits: WatchSettings) -> None:
        self.trend = Trend(limits)
        self.all = (Nan(), self.trend, Waiting(), Memory(), Collapse(), Rate())
        self.told: dict[str, int] = {}

    def see(self, look: Look) -> Iterable[Finding]:
        """What is new."""
        for detector in self.all:
            found = detector.see(look)
            if found is None:
                continue
            kind, text = found
            again = kind == "spike" and look.step - self.told.get(kind, 0) >= 100
            if kind not in self.told or again:
                self.told[kind] = look.step
                yield Finding(kind, look.step, text)


def _mad(values: Iterable[float]) -> float:
    """Median absolute deviation from the median."""
    values = list(values)
    middle = statistics.median(values)
    return statistics.median(abs(value - middle) for value in values)
