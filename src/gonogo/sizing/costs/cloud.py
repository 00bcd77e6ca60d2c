"""What to rent for a run, from what was observed of it: the cheapest rows of the dated tables that hold it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from gonogo.core.criterion import number
from gonogo.core.measurement import Table
from gonogo.errors import SubjectError
from gonogo.sizing.card.allocator import GIB
from gonogo.sizing.costs import devices

MARGIN = 1.5  # of the peak that was seen: longer batches, other allocators, caches


@dataclass(frozen=True, slots=True)
class Need:
    """What a run needs.

    Attributes:
        memory: Of the host, with its margin, bytes.
        cores: Processors that it kept busy.
        gpu_memory: Of one accelerator, with its margin, bytes.
        seconds: The whole run at the speed that was seen; None if its steps are not known.
        on_gpu: It was seen on an accelerator, so that its time holds for one.
    """

    memory: float
    cores: float
    gpu_memory: float
    seconds: float | None = None
    on_gpu: bool = False


@dataclass(frozen=True, slots=True)
class Host:
    """A machine for rent; USD an hour."""

    name: str
    cores: int
    memory: float
    price: float
    source: str


def need(
    *, resident: float, added: float, cores: float, gpu: float, step: float, steps: int | None, margin: float = MARGIN
) -> Need:
    """The need of a run whose peaks were seen.

    Args:
        resident: Peak of the process, bytes.
        added: What the run itself added to that, bytes: an estimate for an accelerator where none was used.
        cores: Processors that it kept busy.
        gpu: Peak on an accelerator, bytes; 0 without one.
        step: Seconds.
        steps: Of the whole run.
        margin: Of the peaks.

    Raises:
        SubjectError: A number is negative, or none.
    """
    for name, value in {"resident": resident, "added": added, "cores": cores, "gpu": gpu, "step": step}.items():
        if not 0 <= value < math.inf:
            raise SubjectError(f"{name}: {value!r}; expected 0 or more")
    seconds = None if steps is None else steps * step
    return Need(margin * resident, max(1.0, cores), margin * (gpu or max(added, 0.0)), seconds, gpu > 0)


def host(wanted: Need) -> Host | None:
    """The cheapest host that holds the run; None if none of the table does."""
    fitting = [one for one in hosts() if one.memory >= wanted.memory and one.cores >= math.ceil(wanted.cores - 0.25)]
    return min(fitting, key=lambda one: one.price, default=None)


def gpu(wanted: Need) -> devices.Device | None:
    """The cheapest accelerator whose memory holds the run beside its own context; None if none does."""
    fitting = [one for one in devices.table().values() if one.name != "cpu" and not one.name.startswith("Apple")]
    fitting = [one for one in fitting if one.memory_bytes - one.context_bytes >= wanted.gpu_memory]
    return min(fitting, key=lambda one: one.price_per_hour, default=None)


def table(wanted: Need) -> Table:
    """The recommendation as rows for a person."""
    return Table("What to rent", ("quantity", "value"), tuple(_rows(wanted)))


def _rows(wanted: Need) -> Iterator[tuple[str, str]]:
    yield f"memory, peak times {MARGIN:g}", number(wanted.memory, "By")
    yield "processors kept busy", f"{wanted.cores:.1f}"
    yield "GPU memory", number(wanted.gpu_memory, "By") + ("" if wanted.on_gpu else " (estimate, none was used)")
    hours = None if wanted.seconds is None else wanted.seconds / 3600
    found, device = host(wanted), gpu(wanted)
    if wanted.on_gpu or found is None:
        yield "host", "as the GPU comes with" if wanted.on_gpu else "none of the table is large enough"
    else:
        yield "host", f"{found.name}: {found.cores} cores, {found.memory / GIB:.0f} GiB"
        yield "price of the host", f"{found.price:.3f} USD an hour; {found.source}"
    yield "GPU", "none of the table is large enough" if device is None else f"{device.name}"
    if device is not None:
        source = f"{device.price_source} ({device.price_date})"
        yield "price of the GPU", f"{device.price_per_hour:.2f} USD an hour; {source}"
    if hours is None:
        yield "whole run", "unknown: give Claims(total_steps=...) or the epochs in the configuration"
        return
    rate = device.price_per_hour if wanted.on_gpu and device else found.price if found and not wanted.on_gpu else None
    yield "whole run, at the speed seen here", f"{hours:.3g} hours" if hours >= 1 else f"{60 * hours:.3g} minutes"
    yield "cost of the whole run", "unknown" if rate is None else _money(hours * rate)
    if not wanted.on_gpu:
        yield "time on the GPU", "not told by this; gonogo size SUBJECT --gpu predicts it"


def _money(dollars: float) -> str:
    return f"{dollars:,.2f} USD" if dollars >= 0.01 else "less than a cent"


@cache
def hosts() -> tuple[Host, ...]:
    """All rows."""
    document: Any = yaml.safe_load(files("gonogo.sizing.costs").joinpath("hosts.yaml").read_text(encoding="utf-8"))
    source = f"{document['price_source']} ({document['price_date']})"
    rows = document["hosts"].items()
    return tuple(Host(name, row["cores"], row["memory_gib"] * GIB, row["price"], source) for name, row in rows)
