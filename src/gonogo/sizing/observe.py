"""Answers as measurements with evidence: what checks and reports show."""

from collections.abc import Sequence

from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.sizing.answer import Sizing
from gonogo.sizing.card.allocator import GIB
from gonogo.sizing.changes import Change

TOP = 12  # modules and operators worth naming
_STATIC = ("weights", "gradients", "optimizer states", "buffers", "inputs")


def memory(sizing: Sizing, changes: Sequence[Change] = ()) -> Observation:
    """Headroom, retries and what cannot be known, with the peak's owners, its course and what would change it."""
    return Observation(_measured(sizing), tuple(_tables(sizing, changes)))


def _measured(sizing: Sizing) -> dict[str, Measurement]:
    found = {
        "headroom": Measurement(sizing.headroom, "1", sizing.headroom - sizing.margin, sizing.headroom + sizing.margin),
        "needed": Measurement(sizing.needed, "By"),
        "untraced": Measurement(int(sizing.fit is None), "{place}"),
        "growth": Measurement(sizing.growth, "By"),
    }
    if sizing.fit is not None:
        found["out_of_memory"] = Measurement(int(sizing.fit.answer == "out of memory"), "{place}")
        found["retries"] = Measurement(sizing.fit.retries, "{attempt}")
    if sizing.fit is None:  # what is needed is a lower bound: room may be less, never more
        found["headroom"] = (
            Measurement(sizing.headroom, "1", None, None)
            if sizing.headroom < 0
            else Measurement(sizing.headroom, "1", -1.0, sizing.headroom)
        )
    return found


def _tables(sizing: Sizing, changes: Sequence[Change]) -> list[Table]:
    tables = [Table("Answer", ("quantity", "value"), tuple(_answer(sizing)))]
    if changes:
        tables.append(
            Table("Smallest changes that make it fit", ("change", "needed", "free"), tuple(map(_change, changes)))
        )
    if sizing.peak is not None:
        peak = sizing.peak
        kinds = tuple((kind, size / GIB) for kind, size in peak.kinds.items())
        tables.append(Table("At the peak, GiB", ("what", "GiB"), kinds, kind="bar"))
        modules = [(name or "(the step itself)", size / GIB) for name, size in list(peak.modules.items())[:TOP]]
        tables.append(Table("Modules that asked for it", ("module", "GiB"), tuple(modules)))
    if sizing.timeline:
        course = tuple((at, size / GIB) for at, size in sizing.timeline)
        tables.append(Table("Memory over three steps, GiB", ("allocation or release", "live"), course, kind="line"))
    if sizing.assumed:
        tables.append(Table("Assumed", ("what",), tuple((text,) for text in sizing.assumed)))
    return tables


def _answer(sizing: Sizing) -> list[tuple[str, str]]:
    rows = [("answer", sizing.answer), ("device", f"{sizing.device.name}, {sizing.device.memory_bytes / GIB:.1f} GiB")]
    if sizing.count > 1:
        rows.append(("devices", f"{sizing.count}; each must hold its own part, memory does not add up"))
    rows.append(("strategies", ", ".join(sizing.strategies) or "none"))
    if sizing.parameters:
        rows.append(("parameters", f"{sizing.parameters:,}"))
    if sizing.free is not None:
        rows.append(("allocated", f"{sizing.free.allocated / GIB:.2f} GiB"))
        rows.append(("reserved", f"{sizing.free.reserved / GIB:.2f} GiB"))
    rows.append(("outside the allocator", f"{sizing.outside / GIB:.2f} GiB (context, communication)"))
    rows.append(("needed", f"{sizing.needed / GIB:.2f} GiB, {sizing.margin:.0%} uncertain"))
    if sizing.host_bytes:
        rows.append(("host memory", f"{sizing.host_bytes / GIB:.1f} GiB for all ranks"))
    if sizing.peak is not None:
        cause = sizing.peak.cause
        rows.append(("peak at", f"{cause.operator} in {cause.phase}" + (f" of {cause.module}" if cause.module else "")))
    return rows


def _change(change: Change) -> tuple[str, str, str]:
    sizing = change.sizing
    return change.what, f"{sizing.needed / GIB:.1f} GiB", f"{sizing.headroom:.0%}"
