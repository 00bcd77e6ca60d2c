"""One measurement on a number line: where it lies relative to what is accepted and tolerated.

Thickness carries the zones as well as colour: thick is accepted, medium tolerated, a thin line is failure.
"""

from xml.etree import ElementTree as ET

from gonogo.core.criterion import Criterion, number
from gonogo.core.measurement import Measurement
from gonogo.reports import svg, wording
from gonogo.reports.rows import Row
from gonogo.reports.svg import CHARACTER, Scale

_WIDTH = 460.0  # drawn about as large as it is shown beside the number, so that the labels stay readable
_Y = 36.0
_EDGE = 10.0
_LEAST = 30.0
_ZONES = {"fail": 4.0, "warn": 10.0, "pass": 18.0}

Zone = tuple[float | None, float | None]


def draw(row: Row, id: str) -> str:
    """The gauge as SVG text, empty for a measurement that nothing judges or that is not finite."""
    value = svg.as_number(row.measurement.value)
    if row.criterion is None or row.status is None or value is None:
        return ""
    x = _scale(row.measurement, row.criterion)
    finding = f"Measured {row.measured}, expected {row.limit}: {row.status.name}."
    picture = svg.canvas(82, id, f"{row.name} against its limit", finding, _WIDTH)
    zones = {"fail": (None, None), "warn": _ends(row.criterion.tolerate), "pass": _ends(row.criterion.accept)}
    for name, (lo, hi) in zones.items():
        start = _EDGE if lo is None else x(lo)
        end = _WIDTH - _EDGE if hi is None else x(hi)
        thick = _ZONES[name]
        # A point-like zone ("exactly 0") must still be seen beside the marker on it.
        width = max(_LEAST, end - start)
        start = (start + end - width) / 2
        svg.shape(picture, "rect", f"zone-{name}", x=start, y=_Y - thick / 2, width=width, height=thick, rx=2)
    _limits(picture, row, x)
    _marker(picture, row, x, value)
    return svg.markup(picture)


def _scale(measured: Measurement, criterion: Criterion) -> Scale:
    raw = [*(measured.interval or ()), measured.value, *_bounds(criterion)]
    values = [value for item in raw if (value := svg.as_number(item)) is not None]
    return svg.scale(values, _EDGE, _WIDTH - _EDGE, pad=0.18, log=True)


def _ends(interval: object) -> Zone:
    return svg.as_number(getattr(interval, "lo", None)), svg.as_number(getattr(interval, "hi", None))


def _bounds(criterion: Criterion) -> list[float]:
    ends = (*_ends(criterion.accept), *_ends(criterion.tolerate))
    return sorted({end for end in ends if end is not None})


def _limits(picture: ET.Element, row: Row, x: Scale) -> None:
    """The limits under the line, on a second line where they would touch."""
    reached, lower = -_WIDTH, False
    for bound in _bounds(row.criterion) if row.criterion else []:
        text = wording.bare(bound, row.measurement.unit)
        half = CHARACTER * len(text) / 2
        at = max(half, min(_WIDTH - half, x(bound)))
        lower = at - half < reached + 8 and not lower
        reached = at + half
        svg.shape(picture, "line", "bound", x1=x(bound), x2=x(bound), y1=_Y - 12, y2=_Y + 14)
        svg.write(picture, at, _Y + (42 if lower else 28), text, text_anchor="middle")


def _marker(picture: ET.Element, row: Row, x: Scale, value: float) -> None:
    low, high = (x(bound) for bound in row.measurement.interval or (value, value))
    at = x(value)
    if high - low > 2:
        line = f"M{svg.place(low)} {_Y - 7}v14m0-7H{svg.place(high)}m0-7v14"
        svg.shape(picture, "path", "halo", d=line)  # sets the interval off from a zone of the same darkness
        svg.shape(picture, "path", "whisker", d=line)
    svg.shape(picture, "path", "marker", d=f"M{svg.place(at)} {_Y - 10}l8.5 10-8.5 10-8.5-10Z")
    text = number(row.measurement.value or 0.0, row.measurement.unit)
    half = CHARACTER * len(text) / 2 + 4
    svg.write(picture, max(half, min(_WIDTH - half, at)), 16, text, "reading", text_anchor="middle")
