"""The alphabet of the pictures: elements, numbers and scales. No ids are made up here, no colour is named here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from gonogo.core.measurement import Cell
from gonogo.reports.clean import legal
from gonogo.reports.wording import shorten

WIDTH = 720.0
CHARACTER = 6.6  # mean width of a character of 12 px, on the safe side
_HUGE, _TINY = 1e200, 1e-200  # beyond these, differences, ratios and padded decades leave the range of floats
_FLAT = 1e-9  # a relative spread below this is rounding, not shape
_DECADES = 1e3  # a spread from which a logarithmic axis shows more


def canvas(height: float, id: str, title: str, description: str, width: float = WIDTH) -> ET.Element:
    """An empty picture that a screen reader announces by its title and finding."""
    labels = {"aria-labelledby": f"{id}-title {id}-desc", "role": "img"}
    svg = ET.Element("svg", {"viewBox": f"0 0 {width:g} {height:.0f}", **labels})
    _child(svg, "title", {"id": f"{id}-title"}, title)
    _child(svg, "desc", {"id": f"{id}-desc"}, description)
    return svg


def markup(svg: ET.Element) -> str:
    """The picture as text; everything in it is escaped."""
    return ET.tostring(svg, encoding="unicode")


def write(svg: ET.Element, x: float, y: float, text: str, css: str = "axis", most: int = 40, **attributes: str) -> None:
    """Add a text, cut to `most` characters."""
    _child(svg, "text", {"x": place(x), "y": place(y), "class": css, **_dashed(attributes)}, shorten(text, most))


def shape(svg: ET.Element, tag: str, css: str, **attributes: float | str) -> None:
    """Add a shape; numbers are written with one decimal, which is a tenth of a pixel."""
    texts = {name: place(value) if isinstance(value, float | int) else value for name, value in attributes.items()}
    ET.SubElement(svg, tag, {"class": css, **_dashed(texts)})


def place(value: float) -> str:
    """A coordinate."""
    return f"{value:.1f}".removesuffix(".0")


def _child(parent: ET.Element, tag: str, attributes: dict[str, str], text: str) -> None:
    ET.SubElement(parent, tag, attributes).text = legal(text)


def _dashed(attributes: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in attributes.items()}


def as_number(cell: Cell) -> float | None:
    """The cell as a number that can be drawn, None if it is not one. Extremes are moved into the drawable range."""
    if cell is None or isinstance(cell, str):
        return None
    if isinstance(cell, int) and abs(cell) > _HUGE:  # float() would raise
        return math.copysign(_HUGE, cell > 0 or -1)
    value = float(cell)
    if not math.isfinite(value):
        return None
    return 0.0 if abs(value) < _TINY else max(-_HUGE, min(_HUGE, value))


@dataclass(frozen=True, slots=True)
class Scale:
    """A map from numbers to pixels."""

    lo: float
    hi: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value; a value outside is put on the edge."""
        at = math.log10(value) if self.log else value
        share = (at - self.lo) / (self.hi - self.lo)
        return self.start + max(0.0, min(1.0, share)) * (self.end - self.start)

    def ticks(self, about: int = 4) -> list[tuple[float, str]]:
        """Round values inside the scale with their labels."""
        return self._decades(about) if self.log else self._steps(about)

    def _steps(self, about: int) -> list[tuple[float, str]]:
        raw = (self.hi - self.lo) / about
        power = 10.0 ** math.floor(math.log10(raw))
        step = next((power * m for m in (1, 2, 2.5, 5) if power * m >= raw * 0.999), power * 10)
        first = math.ceil(self.lo / step - 1e-6)
        values = [(first + index) * step for index in range(about + 2)]
        return [(value, _label(value, step)) for value in values if value <= self.hi + step * 1e-6]

    def _decades(self, about: int) -> list[tuple[float, str]]:
        first, last = math.ceil(self.lo - 1e-9), math.floor(self.hi + 1e-9)
        stride = max(1, math.ceil((last - first) / about))
        return [(10.0**power, _power(power)) for power in range(first, last + 1, stride)]


def scale(values: Sequence[float], start: float, end: float, *, pad: float = 0.0, log: bool = False) -> Scale:
    """The scale that holds all values; constant ones get room on both sides. `log` allows decades, if they help."""
    lo, hi = (min(values), max(values)) if values else (0.0, 1.0)
    decades = log and lo > 0 and hi / lo >= _DECADES
    if decades:
        lo, hi = math.log10(lo), math.log10(hi)
    if hi - lo <= _FLAT * max(abs(lo), abs(hi)):
        room = max(abs(lo), abs(hi)) / 10 or 1.0
        lo, hi = lo - room, hi + room
    margin = (hi - lo) * pad
    return Scale(lo - margin, hi + margin, start, end, decades)


def _label(value: float, step: float) -> str:
    if abs(value) < step / 2:
        return "0"
    decimals = -math.floor(math.log10(step) + 1e-9)
    if step * 10**decimals % 1 > 1e-6:  # steps of 2.5
        decimals += 1
    if step >= 1e-4 and abs(value) < 1e6:
        return f"{value:,.{max(0, decimals)}f}"
    digits = math.floor(math.log10(abs(value))) + decimals + 1
    return _short(f"{value:.{max(1, min(12, digits))}g}")


def _power(power: int) -> str:
    return f"{10.0**power:g}" if -4 <= power <= 5 else f"1e{power}"


def _short(text: str) -> str:
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if e else text
