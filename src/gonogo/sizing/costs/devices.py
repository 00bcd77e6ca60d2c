"""Devices to size for: one dated table, its names, and counts of them. Memory is of one device, never a sum."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

import psutil
import yaml

from gonogo.errors import SubjectError
from gonogo.sizing.card.allocator import GIB

GB, TERA = 1e9, 1e12
MOST = 1 << 20  # devices in one plan
_COUNTED = re.compile(r"(?:(?P<count>[+-]?[0-9]+) *[xX*] *)?(?P<name>.*)")
_VENDORS = re.compile(r"^(nvidia|amd|tesla|geforce|quadro|instinct|rtx)(?=.)")


@dataclass(frozen=True, slots=True)
class Device:
    """One device, as one process sees it.

    Attributes:
        memory_bytes: What the driver reports; the context comes out of it.
        bandwidth: Bytes per second of its memory.
        flops: Dense peak in FLOP/s by dtype name ("tf32" for float32 through tensor units).
        price_per_hour: USD for one device, on demand; indicative.
        host_link_bytes_per_second: One direction, nominal.
        peer_link_bytes_per_second: One direction to its peers, nominal.
        context_bytes: Taken by a process before its first tensor.
        host_bandwidth: Bytes per second of the host's memory.
        launch_seconds: The least that a kernel takes.
        dispatch_seconds: What the host takes to send one operator.
        measured: Rates were reached on this machine; else they are peaks that no program reaches.
        note: What a reader must know about the row.
    """

    name: str
    memory_bytes: int
    bandwidth: float
    flops: Mapping[str, float]
    power_watts: float
    price_per_hour: float
    price_source: str
    price_date: str
    host_link_bytes_per_second: float
    peer_link_bytes_per_second: float
    context_bytes: int
    host_bandwidth: float = 50 * GB
    launch_seconds: float = 4e-6
    dispatch_seconds: float = 8e-6
    measured: bool = False
    note: str = field(default="", compare=False)

    def peak(self, dtype: str) -> float:
        """FLOP/s in a dtype; types without units of their own go at the float32 rate."""
        return self.flops.get(dtype, self.flops["float32"])


def device(name: str) -> Device:
    """The device of a name or an alias; case, spaces, hyphens and vendors do not matter.

    Raises:
        SubjectError: There is none; the message lists the nearest.
    """
    found = _names().get(_plain(name)) or _names().get(_VENDORS.sub("", _plain(name)))
    if found is None:
        raise SubjectError(f"no device is called {name!r}; {_nearest(name)}")
    return table()[found]


def parse(text: str) -> tuple[tuple[int, Device], ...]:
    """Counts and devices of a text such as `2xA5000` or `1xA100-80GB,2xL40S`; one kind that is named twice is one.

    Raises:
        SubjectError: A count is not a positive whole number, or a device is unknown.
    """
    counts: dict[str, int] = {}
    for part in text.split(","):
        match = _COUNTED.fullmatch(part.strip())
        if match is None or not match["name"]:
            raise SubjectError(f"{part.strip()!r} in {text!r} names no device; expected COUNTxNAME, such as 2xA5000")
        found, count = device(match["name"]).name, int(match["count"] or 1)
        if not 1 <= count <= MOST:
            raise SubjectError(f"{part.strip()!r}: a count is {count}; expected 1 to {MOST}")
        counts[found] = counts.get(found, 0) + count
    return tuple((count, table()[name]) for name, count in counts.items())


@cache
def table() -> Mapping[str, Device]:
    """All devices by name."""
    return {name: _device(name, row) for name, row in _document()["devices"].items()}


def aliases() -> Mapping[str, str]:
    """Other names and the device that each means."""
    return dict(_document()["aliases"])


@cache
def _document() -> Any:
    return yaml.safe_load(files("gonogo.sizing.costs").joinpath("devices.yaml").read_text(encoding="utf-8"))


@cache
def _names() -> Mapping[str, str]:
    return {_plain(name): name for name in table()} | {_plain(name): to for name, to in aliases().items()}


def _device(name: str, row: Mapping[str, Any]) -> Device:
    memory = psutil.virtual_memory().total if row["memory_gib"] == "host" else int(row["memory_gib"] * GIB)
    return Device(
        name,
        memory,
        row["bandwidth"] * GB,
        {dtype: rate * TERA for dtype, rate in row["tflops"].items()},
        row["watts"],
        row["price"],
        row["price_source"],
        row["price_date"],
        row["host_link"] * GB,
        row["peer_link"] * GB,
        int(row["context_gib"] * GIB),
        note=row.get("note", ""),
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _nearest(name: str) -> str:
    wanted = _plain(name)
    near = [_names()[one] for one in get_close_matches(wanted, list(_names()), n=5, cutoff=0.5)]
    if near:
        return f"the nearest are {', '.join(dict.fromkeys(near))}"
    return f"known are {', '.join(table())}"
