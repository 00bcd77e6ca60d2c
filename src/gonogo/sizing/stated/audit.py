"""The audit of a stated memory plan: every line worked out again by arithmetic, nothing allocated or traced.

A line is wrong only if no right layout allows it (see arithmetic.layouts) within the rounding of what is stated. Each
mistake is named once, where it is made: what follows is compared with what the plan says before it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gonogo.sizing.stated import arithmetic
from gonogo.sizing.stated.arithmetic import STATIC, Layout, Range
from gonogo.sizing.stated.plan import LINES, Figure, Stage, StatedPlan

COMPLETE = frozenset(("weights", "gradients", "optimizer", "activations"))
SLACK = 0.002  # of a figure: constants that tables leave out
NOMINAL = 1.06  # a "24 GB" card may report 23.7 GiB


@dataclass(frozen=True, slots=True)
class Wrong:
    """One line that cannot be: what is stated, what follows, and why; figures in the plan's unit."""

    stage: str
    line: str
    stated: str
    follows: str
    why: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The wrong lines of a plan in its order, and how many figures were compared."""

    wrong: tuple[Wrong, ...]
    compared: int


@dataclass(slots=True)
class _Ledger:
    """What holds after the stages so far, as stated."""

    plan: StatedPlan
    force: list[str]
    lines: dict[str, Figure] = field(default_factory=dict)
    first: dict[str, Figure] = field(default_factory=dict)
    compared: int = 0

    def sharded(self) -> frozenset[str]:
        return arithmetic.sharded(self.force)


def audit(plan: StatedPlan) -> Audit:
    """Every figure of the plan against the others and the bytes of its remedies."""
    ledger = _Ledger(plan, [plan.optimizer])
    wrong = list(_devices(plan))
    ledger.compared += sum(one is not None for one in (plan.available, plan.target))
    for index, stage in enumerate(plan.stages):
        wrong += _stage(ledger, stage, first=index == 0)
    return Audit(tuple(wrong), ledger.compared)


def _devices(plan: StatedPlan) -> Iterator[Wrong]:
    """A device has its own memory, never that of all."""
    for line, said in (("available per device", plan.available), ("target per device", plan.target)):
        if said is None or said.value <= plan.capacity * NOMINAL + said.step:
            continue
        summed = said.value <= plan.count * plan.capacity * NOMINAL + said.step
        why = (
            f"{plan.count} devices have that much only together" if summed and plan.count > 1 else "no device has that"
        )
        yield _wrong(plan, "devices", line, said, f"at most {plan.capacity:.1f}", f"{why}; one is {plan.device}")


def _stage(ledger: _Ledger, stage: Stage, *, first: bool) -> list[Wrong]:
    before, sharded = dict(ledger.lines), ledger.sharded()
    ledger.force += stage.remedies
    ledger.compared += len(stage.lines) + len(stage.saves)
    ledger.compared += sum(one is not None for one in (stage.per_device, stage.host, stage.fits))
    touched = arithmetic.touched(stage.remedies) | (arithmetic.touched(["fp32"]) if first else frozenset())
    if ledger.plan.by_device:
        touched |= ledger.sharded() - sharded
    wrong = [*_untouched(ledger, stage, before, touched), *_layout(ledger, stage, touched, before)]
    ledger.lines = {line: said for line, said in before.items() if line not in touched} | dict(stage.lines)
    if "total" not in stage.lines:
        ledger.lines.pop("total", None)
    ledger.first = ledger.lines if first else ledger.first
    sums = list(_total(ledger, stage, before))
    wrong += sums
    wrong += _savings(ledger, stage, before)
    wrong += [] if sums else _per_device(ledger, stage)
    wrong += _host(ledger, stage, before)
    wrong += _fits(ledger, stage)
    return wrong


def _untouched(ledger: _Ledger, stage: Stage, before: Mapping[str, Figure], touched: frozenset[str]) -> Iterator[Wrong]:
    """A line moves only by a remedy that acts on it."""
    for line, said in stage.lines.items():
        was = before.get(line)
        if line not in (*STATIC, "activations") or line in touched or was is None or _same(said, was):
            continue
        how = "halved" if abs(said.value * 2 - was.value) <= 2 * (said.step + was.step) else "changed"
        remedies = ", ".join(stage.remedies) or "a stage without a remedy"
        why = f"{how} in silence: {remedies} does not act on {line}; it stays as before"
        yield _wrong(ledger.plan, stage.name, line, said, f"{was}", why)


def _layout(ledger: _Ledger, stage: Stage, touched: frozenset[str], before: Mapping[str, Figure]) -> Iterator[Wrong]:
    """Static lines are parameters x bytes, in one of the right layouts."""
    said = {line: stage.lines[line] for line in STATIC if line in stage.lines and line in touched}
    own = {line for line in (*before, *stage.lines) if line not in LINES} | ({*before, *stage.lines} & {"master"})
    options = [one for one in arithmetic.layouts(ledger.force) if own or one["master"] == (0, 0)]
    kept = {line: before[line] for line in STATIC if line in before and line not in touched}
    fitting = [one for one in options if not _misfits(ledger, one, kept)]
    options = fitting or options
    best = min(options, key=lambda one: len(_misfits(ledger, one, said)))
    for line in _misfits(ledger, best, said):
        least, most = _expected(ledger, line, best[line])
        each = "-".join(f"{bound:g}" for bound in dict.fromkeys(best[line]))
        shared = " / devices" if ledger.plan.by_device and line in ledger.sharded() else ""
        why = f"{ledger.plan.parameters.value:g} parameters x {each} bytes{shared} under {_names(ledger.force)}"
        yield _wrong(ledger.plan, stage.name, line, said[line], _range(least, most), why + _unit(said[line], most))


def _misfits(ledger: _Ledger, layout: Layout, said: Mapping[str, Figure]) -> list[str]:
    return [line for line, figure in said.items() if not _within(figure, _expected(ledger, line, layout[line]))]


def _expected(ledger: _Ledger, line: str, each: Range) -> Range:
    low, high = ledger.plan.per_byte
    share = ledger.plan.count if ledger.plan.by_device and line in ledger.sharded() else 1
    return each[0] * low / share, each[1] * high / share


def _total(ledger: _Ledger, stage: Stage, before: Mapping[str, Figure]) -> Iterator[Wrong]:
    """The total is the sum of its lines; lines that are not shown take at least the bytes of a right layout."""
    said = stage.lines.get("total")
    parts = {line: figure for line, figure in ledger.lines.items() if line != "total"}
    if said is None:
        return
    slack = sum(one.step for one in parts.values()) + said.step
    known = sum(one.value for one in parts.values())
    unseen = [line for line in STATIC if line not in parts]
    least = known + min(
        sum(_expected(ledger, line, one[line])[0] for line in unseen) for one in arithmetic.layouts(ledger.force)
    )
    complete = set(parts) >= COMPLETE
    if said.value >= least * (1 - SLACK) - slack and not (complete and said.value > known * (1 + SLACK) + slack):
        return
    why = " + ".join(f"{figure} {line}" for line, figure in parts.items()) or _names(ledger.force)
    why += f", and at least {least - known:.4g} for {', '.join(unseen)}" if least > known * (1 + SLACK) else ""
    follows = f"{known:.6g}" if complete else f"at least {least:.6g}"
    if set(stage.remedies) == {"accumulation"} and "total" in before:
        follows = str(before["total"])
        why += " stay: accumulation lowers no static memory, and the same micro-batch takes the same activations"
    yield _wrong(ledger.plan, stage.name, "total", said, follows, why)


def _savings(ledger: _Ledger, stage: Stage, before: Mapping[str, Figure]) -> Iterator[Wrong]:
    """What is said to be saved, of the stage before or of the first, is the difference of the lines that show it."""
    for line, said in stage.saves.items():
        names = _compared(line, stage, before, ledger.lines)
        found = [_saved(names, said, earlier, ledger.lines) for earlier in (before, ledger.first)]
        if not names or any(right for _, right in found):
            continue
        was, now = (sum(lines[one].value for one in names) for lines in (before, ledger.lines))
        still = [f"{one} {ledger.lines[one]}" for one in names if _same(before[one], ledger.lines[one])]
        why = f"{was:.6g} before, {now:.6g} now" + (f"; as before: {', '.join(still)}" if still else "")
        follows = f"{found[0][0]:.3g}{' %' * said.percent}"
        yield _wrong(ledger.plan, stage.name, f"saves ({line})", said, follows, why)


def _compared(line: str, stage: Stage, before: Mapping[str, Figure], now: Mapping[str, Figure]) -> list[str]:
    """The lines that show a saving; of an incomplete table only lines that a remedy acts on, if none of them moved."""
    if line in before and line in now:
        return [line]
    parts = {one for one in (*before, *now) if one != "total"}
    if line != "total" or not all(one in before and one in now for one in parts):
        return []
    moved = any(not _same(before[one], now[one]) for one in parts)
    acted = parts & arithmetic.touched(stage.remedies)
    return sorted(parts) if parts >= COMPLETE or (acted and not moved) else []


def _saved(
    names: list[str], said: Figure, before: Mapping[str, Figure], now: Mapping[str, Figure]
) -> tuple[float, bool]:
    """(what is saved, is it what is said); nothing can be said of nothing."""
    if not all(one in before for one in names):
        return 0.0, False
    was, left = (sum(lines[one].value for one in names) for lines in (before, now))
    if not was:
        return 0.0, True
    slack = sum(lines[one].step for one in names for lines in (before, now))
    saved = 100 * (1 - left / was) if said.percent else was - left
    return saved, abs(saved - said.value) <= said.step + (100 * slack / was if said.percent else slack)


def _per_device(ledger: _Ledger, stage: Stage) -> Iterator[Wrong]:
    """What one device holds: lines that are sharded, divided; all others, whole."""
    said, bounds = stage.per_device, _device_range(ledger)
    if said is None or bounds is None or _within(said, bounds):
        return
    cut = ", ".join(sorted(ledger.sharded() & set(STATIC))) or "nothing"
    why = f"over {ledger.plan.count} devices {_names(ledger.force)} divides {cut}"
    yield _wrong(ledger.plan, stage.name, "per device", said, _range(*bounds), why)


def _device_range(ledger: _Ledger) -> Range | None:
    """Activations and other lines may be of one device or of all. None: the plan does not say enough."""
    parts = {line: figure for line, figure in ledger.lines.items() if line != "total"}
    total = ledger.lines.get("total")
    if total is None and not set(parts) >= COMPLETE:
        return None
    slack = sum(one.step for one in parts.values()) + (total.step if total else 0)
    known = sum(one.value for one in parts.values())
    rest = max(total.value - known, 0.0) if total else 0.0
    if ledger.plan.by_device or ledger.plan.count == 1:
        return known + rest - slack, known + rest + slack
    cut = {line for line in parts if line in ledger.sharded()}
    loose = {line for line in parts if line not in STATIC} if ledger.sharded() or "ddp" in ledger.force else set[str]()
    number = ledger.plan.count
    low = sum(one.value / (number if line in cut | loose else 1) for line, one in parts.items())
    high = sum(one.value / (number if line in cut else 1) for line, one in parts.items())
    return low + rest / number * bool(ledger.sharded()) + rest * (not ledger.sharded()) - slack, high + rest + slack


def _host(ledger: _Ledger, stage: Stage, before: Mapping[str, Figure]) -> Iterator[Wrong]:
    """What leaves the devices arrives in host memory."""
    if not arithmetic.OFFLOADS & set(stage.remedies):
        return
    moved = {line: before[line] for line in STATIC if line in before and line in ledger.lines}
    moved = {line: was for line, was in moved.items() if ledger.lines[line].value < was.value - was.step}
    least = sum(was.value - ledger.lines[line].value - was.step for line, was in moved.items())
    least = max(least, 0.0 if moved else _offloaded(ledger))
    if least <= 0 or (stage.host is not None and stage.host.value + stage.host.step >= least * (1 - SLACK)):
        return
    why = f"{', '.join(moved) or 'what is offloaded'} leaves the devices and must lie in host memory"
    yield _wrong(ledger.plan, stage.name, "host", stage.host or "not counted", f"at least {least:.4g}", why)


def _offloaded(ledger: _Ledger) -> float:
    """The least that goes to the host, where no earlier line shows it."""
    kept = [one for one in ledger.force if one not in arithmetic.OFFLOADS]
    lines = STATIC if "offload-parameters" in ledger.force else ("optimizer", "master")
    return min(sum(_expected(ledger, line, one[line])[0] for line in lines) for one in arithmetic.layouts(kept))


def _fits(ledger: _Ledger, stage: Stage) -> Iterator[Wrong]:
    """What is said to fit takes no more than one device has."""
    bounds = _device_range(ledger)
    need = stage.per_device.value if stage.per_device else bounds[0] if bounds else 0.0
    slack = stage.per_device.step if stage.per_device else 0.0
    if stage.fits and need - slack > ledger.plan.capacity:
        why = f"one {ledger.plan.device} has {ledger.plan.capacity:.1f} {ledger.plan.unit}, whatever all have together"
        yield Wrong(stage.name, "fits", "yes", f"no: {need:.4g} {ledger.plan.unit} on each device", why)


def _same(one: Figure, other: Figure) -> bool:
    return abs(one.value - other.value) <= one.step + other.step


def _within(said: Figure, bounds: Range) -> bool:
    return bounds[0] * (1 - SLACK) - said.step <= said.value <= bounds[1] * (1 + SLACK) + said.step


def _unit(said: Figure, most: float) -> str:
    """Is it right in the other gigabyte?"""
    factor = (1 << 30) / 1e9
    right = any(abs(said.value - value) <= said.step + SLACK * value for value in (most * factor, most / factor))
    return "; it would be right in the other unit (GB = 1e9, GiB = 2**30 bytes)" if right and most else ""


def _names(force: list[str]) -> str:
    return " + ".join(dict.fromkeys(force))


def _range(least: float, most: float) -> str:
    return f"{least:.4g}" if most - least <= 0.01 * most else f"{least:.4g} to {most:.4g}"


def _wrong(plan: StatedPlan, stage: str, line: str, said: Figure | str, follows: str, why: str) -> Wrong:
    stated = said if isinstance(said, str) else f"{said}{'' if said.percent else f' {plan.unit}'}"
    return Wrong(stage, line, stated, follows if follows.endswith("%") else f"{follows} {plan.unit}", why)
