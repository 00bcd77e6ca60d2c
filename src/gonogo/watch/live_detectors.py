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
RISE, CREEP = 3.0, 1.5  # of the loss over its start: at once, and for four windows
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
    unticked: bool = False  # is there a schedule that never stepped?
    epoch: int = 0
    memory: Mapping[str, int] = field(default_factory=dict)
    free: Mapping[str, int] = field(default_factory=dict)
    waited: float = 0.0
    seconds: float = 0.0
    shares: Mapping[str, float] = field(default_factory=dict)  # how far each gate is at one end, 0..1


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
            return "nan_batch", f"{lost} of {len(look.losses)} losses are nan or infinite: look for an empty batch"
        return None


class Trend:
    """A loss that does not fall, runs away, or jumps."""

    def __init__(self, limits: WatchSettings) -> None:
        self.limits = limits
        self.start: list[float] = []
        self.recent: deque[float] = deque(maxlen=4 * WINDOW)
        self.count = self.flat = self.judged = 0

    def see(self, look: Look) -> tuple[str, str] | None:
        """(kind, text) of what this look shows."""
        finite = [loss for loss in look.losses if math.isfinite(loss)]
        jump = self._jump(finite)
        self.count += len(finite)
        for loss in finite:
            if len(self.start) < WINDOW:
                self.start.append(loss)
            else:
                self.recent.append(loss)
        return self._away() or self._flat(look) or jump

    def _jump(self, losses: list[float]) -> tuple[str, str] | None:
        if len(self.recent) < WINDOW or not losses:
            return None
        usual = statistics.median(self.recent)
        spread = max(1.4826 * _mad(self.recent), 1e-3 * abs(usual))
        worst = max(losses)
        if worst > usual + SPIKE * spread and worst > 2 * abs(usual):
            return "spike", f"the loss jumped to {worst:.4g}; it was {usual:.4g} before"
        return None

    def _away(self) -> tuple[str, str] | None:
        if len(self.recent) < WINDOW or min(self.start) <= 0:
            return None
        first, windows = statistics.median(self.start), list(self.recent)
        last = statistics.median(windows[-WINDOW:])
        parts = [windows[at : at + WINDOW] for at in range(0, len(windows), WINDOW)]
        creeping = len(windows) == 4 * WINDOW and all(statistics.median(part) > CREEP * first for part in parts)
        if last > RISE * first or creeping:
            return "divergence", f"the loss is {last:.4g} and was {first:.4g} at the start: lower the learning rate"
        return None

    def _flat(self, look: Look) -> tuple[str, str] | None:
        """Asked once per epoch, or once per `no_fall_steps`; twice the same answer counts."""
        by_epoch, by_steps = look.epoch >= self.limits.no_fall_epochs, look.step // self.limits.no_fall_steps
        turn = look.epoch if by_epoch else -by_steps
        if turn in (0, self.judged) or len(self.recent) < WINDOW:
            return None
        self.judged = turn
        last, first = list(self.recent)[-WINDOW:], statistics.median(self.start)
        fall = first - statistics.median(last)
        error = NOISE * math.hypot(_mad(self.start), _mad(last)) / math.sqrt(WINDOW)
        self.flat = self.flat + 1 if fall <= min(2 * error, 0.01 * abs(first)) else 0
        if self.flat >= 2:
            where = f"{look.epoch} epochs" if by_epoch else f"{look.step} steps"
            return "no_fall", f"after {where} the loss is where it began ({first:.4g}): do the weights move?"
        return None


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
    """Memory that every step leaves behind. The first epoch is not judged: data sets fill their caches in it."""

    def __init__(self) -> None:
        self.seen: dict[str, deque[tuple[int, int]]] = {}
        self.epoch = 0

    def see(self, look: Look) -> tuple[str, str] | None:
        """(kind, text) of what this look shows."""
        if look.epoch <= 1 and look.epoch != self.epoch:
            self.seen.clear()
        self.epoch = look.epoch
        for name, size in look.memory.items():
            points = self.seen.setdefault(name, deque(maxlen=WINDOW))
            points.append((look.step, size))
            if len(points) == WINDOW and (text := _grows(name, list(points), look.free.get(name, 0))):
                return "memory", text
        return None


def _grows(name: str, points: list[tuple[int, int]], free: int) -> str:
    steps, sizes = zip(*points, strict=True)
    kept = sizes[-1] - sizes[0]
    # A cache that fills or a longer batch comes in jumps; what every step leaves behind is a straight line.
    steady = sum(b > a for a, b in pairwise(sizes)) > 0.8 * (len(sizes) - 1)
    if kept < KEPT or not steady or statistics.correlation(steps, sizes) < 0.98:
        return ""
    slope = statistics.linear_regression(steps, sizes).slope
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

    def __init__(self, limits: WatchSettings, one_loss: bool = True) -> None:
        trends = (Trend(limits),) if one_loss else ()  # of two that play against each other none need fall
        self.all = (Nan(), *trends, Waiting(), Memory(), Collapse(), Rate())
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
