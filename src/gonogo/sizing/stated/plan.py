"""A memory plan as somebody wrote it down: stages of remedies, and what each stage is said to take.

    parameters: 13.14e9
    devices: 2xA5000
    unit: GB                     # 1e9 bytes; GiB is 2**30
    counted: replica             # lines are of one whole copy of the model; `device`: of one device
    available_per_device: 48     # what the plan takes a device to have
    target_per_device: 45
    stages:
      - name: mixed precision
        remedies: [mixed-precision]
        saves: 50 %              # of the total; or {weights: 50 %}
        lines: {weights: 26.28, gradients: 26.28, optimizer: 157.68, activations: 5, total: 215.24}
        per_device: 107.6
        host: 0
        fits: false

Stages follow each other: a remedy stays in force, and a line that is not given is as it was.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from gonogo.errors import SubjectError, did_you_mean
from gonogo.sizing.costs import devices
from gonogo.sizing.stated import arithmetic

UNITS = {"GB": 1e9, "GiB": float(1 << 30), "MB": 1e6, "MiB": float(1 << 20)}
LINES = (*arithmetic.STATIC, "activations", "total")
PLAN = ("name", "parameters", "devices", "unit", "counted", "optimizer", "available_per_device", "target_per_device")
PLAN += ("fits", "stages")
STAGE = ("name", "remedies", "lines", "saves", "per_device", "host", "fits")
SPELLINGS = {"parameters": "weights", "params": "weights", "grads": "gradients", "states": "optimizer"}
SPELLINGS |= {"optimizer_states": "optimizer", "master_weights": "master"}
_SCALES = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}


@dataclass(frozen=True, slots=True)
class Figure:
    """A stated number and the unit of its last digit: rounding and cutting off are both allowed."""

    value: float
    step: float
    percent: bool = False

    def __str__(self) -> str:
        return f"{self.value:g}{' %' if self.percent else ''}"


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the plan: what it adds, and what it says then holds."""

    name: str
    remedies: tuple[str, ...]
    lines: Mapping[str, Figure]
    saves: Mapping[str, Figure] = field(default_factory=dict)
    per_device: Figure | None = None
    host: Figure | None = None
    fits: bool | None = None


@dataclass(frozen=True, slots=True)
class StatedPlan:
    """The whole plan; `unit` in bytes, `capacity` and figures in that unit."""

    name: str
    parameters: Figure
    unit: str
    stages: tuple[Stage, ...]
    count: int = 1
    device: str = ""
    capacity: float = math.inf
    by_device: bool = False
    optimizer: str = "adamw"
    available: Figure | None = None
    target: Figure | None = None

    @property
    def per_byte(self) -> tuple[float, float]:
        """What one byte per parameter is in the plan's unit: least and most that the stated count allows."""
        count, half = self.parameters.value, self.parameters.step / 2
        return (count - half) / UNITS[self.unit], (count + half) / UNITS[self.unit]


def read(stated: Any, where: str = "memory_plan") -> StatedPlan:
    """The plan in a mapping.

    Raises:
        SubjectError: A key or remedy is unknown, or a value is no number; the message names the place.
    """
    _known(stated, PLAN, where)
    missing = [key for key in ("parameters", "stages") if key not in stated]
    if missing:
        raise SubjectError(f"{where}: {missing[0]} is missing; a plan has {', '.join(PLAN)}")
    unit = _one_of(stated.get("unit", "GB"), tuple(UNITS), f"{where}.unit")
    count, name, capacity = _devices(stated.get("devices"), UNITS[unit])
    rows = stated["stages"]
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        raise SubjectError(f"{where}.stages: a list of stages was expected, each with lines")
    stages = [_stage(row, f"{where}.stages[{index}]") for index, row in enumerate(rows)]
    return StatedPlan(
        str(stated.get("name", where)),
        parameters(stated["parameters"], f"{where}.parameters"),
        unit,
        tuple(_with_verdict(stages, stated.get("fits"), where)),
        count,
        name,
        capacity,
        _one_of(stated.get("counted", "replica"), ("replica", "device"), f"{where}.counted") == "device",
        arithmetic.remedy(str(stated.get("optimizer", "adamw")), f"{where}.optimizer"),
        *(_optional(stated, key, where) for key in ("available_per_device", "target_per_device")),
    )


def parameters(value: Any, where: str) -> Figure:
    """A count such as 13.14e9, 13140000000 or "13.14B"; zeros at the end are digits only in a text such as "1.00B"."""
    match = re.fullmatch(
        r"([0-9.]+(?:e[+-]?[0-9]+)?)\s*([kmbgt]?)", str(value).replace("_", "").replace(",", "").lower()
    )
    found = _decimal(match[1]) if match else None
    if match is None or found is None or not 0 < found < Decimal("1e15"):
        raise SubjectError(f"{where} is {value!r}; a count such as 13.14e9 or 13.14B was expected")
    scale = _SCALES[match[2]]
    digits = found if isinstance(value, str) and "." in value else found.normalize()
    return Figure(float(found) * scale, 10.0 ** int(digits.as_tuple().exponent) * scale)


def _stage(row: Any, where: str) -> Stage:
    _known(row, STAGE, where)
    remedies = row.get("remedies", ())
    remedies = remedies.split(",") if isinstance(remedies, str) else remedies
    if not isinstance(remedies, Sequence):
        raise SubjectError(f"{where}.remedies: a list of names was expected")
    saves = row.get("saves")
    saves = saves if isinstance(saves, Mapping) else {} if saves is None else {"total": saves}
    lines, saves = _lines(row.get("lines") or {}, f"{where}.lines"), _lines(saves, f"{where}.saves")
    fits = row.get("fits")
    if not isinstance(fits, bool | None):
        raise SubjectError(f"{where}.fits is {fits!r}; true or false was expected")
    return Stage(
        str(row.get("name", where)),
        tuple(arithmetic.remedy(str(one), f"{where}.remedies") for one in remedies),
        lines,
        saves,
        _optional(row, "per_device", where),
        _optional(row, "host", where),
        fits,
    )


def figure(value: Any, where: str) -> Figure:
    """A number of the plan's unit, or a percentage."""
    match = re.fullmatch(r"[<~≤]?\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(%|[GM]i?B)?", str(value).strip())
    found = _decimal(match[1]) if match and not isinstance(value, bool) else None
    if match is None or found is None or found > Decimal("1e12"):
        raise SubjectError(f"{where} is {value!r}; a number, not negative, was expected (or a percentage in saves)")
    return Figure(float(found), 10.0 ** min(int(found.as_tuple().exponent), 0), match[2] == "%")


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except ArithmeticError:
        return None


def _optional(row: Mapping[str, Any], key: str, where: str) -> Figure | None:
    return None if row.get(key) is None else figure(row[key], f"{where}.{key}")


def _with_verdict(stages: list[Stage], fits: Any, where: str) -> list[Stage]:
    """The plan's own verdict is that of its last stage."""
    if fits is None:
        return stages
    last = stages[-1]
    verdict = Stage(last.name, last.remedies, last.lines, last.saves, last.per_device, last.host, bool(fits))
    return [*stages[:-1], verdict]


def _devices(text: Any, unit: float) -> tuple[int, str, float]:
    if text is None:
        return 1, "", math.inf
    found = devices.parse(str(text))
    smallest = min((device for _, device in found), key=lambda device: device.memory_bytes)
    return sum(count for count, _ in found), smallest.name, smallest.memory_bytes / unit


def _known(given: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(given, Mapping):
        raise SubjectError(f"{where}: {type(given).__name__} was found; a mapping was expected")
    for key in given:
        if key not in known:
            near = did_you_mean(str(key), known)
            raise SubjectError(f"{where}: unknown key {key!r}; known are {', '.join(known)}.{near}")


def _lines(given: Any, where: str) -> dict[str, Figure]:
    """Other lines than the known ones count in the total; a slip of the pen is none of them."""
    if not isinstance(given, Mapping):
        raise SubjectError(f"{where}: {type(given).__name__} was found; a mapping of lines was expected")
    found: dict[str, Figure] = {}
    for key, value in given.items():
        line = SPELLINGS.get(str(key), str(key))
        near = get_close_matches(line, LINES, n=1, cutoff=0.75) if line not in LINES else []
        if near or line in found:
            what = f"Did you mean {near[0]!r}?" if near else "It is given twice."
            raise SubjectError(f"{where}: unknown line {key!r}. {what}")
        found[line] = figure(value, f"{where}.{key}")
    return found


def _one_of(value: Any, known: tuple[str, ...], where: str) -> str:
    if value not in known:
        raise SubjectError(f"{where} is {value!r}; known are {', '.join(known)}.{did_you_mean(str(value), known)}")
    return str(value)
