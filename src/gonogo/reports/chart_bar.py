"""Bars: the first column is the label, the second the value. Numeric labels are bins and make a histogram.

Columns named low and high after them are the interval of each value.
"""

from xml.etree import ElementTree as ET

from gonogo.core.measurement import Table
from gonogo.reports import svg
from gonogo.reports.svg import CHARACTER, WIDTH
from gonogo.reports.wording import cell, shorten

_BARS = 25  # horizontal ones: a screen full
_BINS = 50
_FEW = 4  # bins from which a histogram shows a shape
_ROW = 25.0
_PLOT = 170.0

Pair = tuple[str, float | None, str]  # label, value, value as text
Ends = tuple[float, float] | None


def draw(table: Table, id: str, finding: str) -> ET.Element:
    """A histogram for bins, else one horizontal bar per row."""
    pairs = [_pair(row) for row in table.rows[: most(table)]]
    columns = [*table.columns, "", ""]
    height = _PLOT + 64 if _is_histogram(table) else _ROW * len(pairs) + 30
    picture = svg.canvas(height, id, table.title, finding)
    if _is_histogram(table):
        _histogram(picture, pairs, columns)
    else:
        _bars(picture, pairs, columns, _intervals(table)[: len(pairs)])
    return picture


def most(table: Table) -> int:
    """How many rows are drawn."""
    return _BINS if _is_histogram(table) else _BARS


def _is_histogram(table: Table) -> bool:
    return len(table.rows) >= _FEW and all(row and svg.as_number(row[0]) is not None for row in table.rows)


def _pair(row: tuple) -> Pair:
    label, value, *_ = *row, None, None
    return cell(label), svg.as_number(value), cell(value)


def _intervals(table: Table) -> list[Ends]:
    if table.columns[2:4] != ("low", "high"):
        return [None] * len(table.rows)
    ends = [(svg.as_number(row[2]), svg.as_number(row[3])) if len(row) > 3 else (None, None) for row in table.rows]
    return [(low, high) if low is not None and high is not None else None for low, high in ends]


def _bars(picture: ET.Element, pairs: list[Pair], columns: list[str], intervals: list[Ends]) -> None:
    labels = [shorten(label, 34) for label, _, _ in pairs]
    left = 12 + CHARACTER * max(len(label) for label in labels)
    values = [value for _, value, _ in pairs if value is not None]
    values += [end for ends in intervals if ends for end in ends]
    room = 20 + CHARACTER * max(len(shorten(text, 14)) for _, _, text in pairs)
    start = left + (room if min(values) < 0 else 2)
    x = svg.scale([0.0, *values], start, WIDTH - room)
    svg.write(picture, left, 12, columns[1], "axis")
    for index, (_, value, text) in enumerate(pairs):
        y = 24 + _ROW * index
        svg.write(picture, left - 10, y + 14, labels[index], "label", text_anchor="end")
        low, high = sorted((x(0.0), x(value or 0.0)))
        if value:
            svg.shape(picture, "rect", "bar", x=low, y=y + 2, width=max(1.5, high - low), height=_ROW - 9, rx=2)
        if ends := intervals[index]:
            low, high = _whisker(picture, x(min(ends)), x(max(ends)), y + _ROW / 2 - 2, (low, high))
        negative = value is not None and value < 0
        at, anchor = (low - 7, "end") if negative else (high + 7, "start")
        svg.write(picture, at, y + 14, text, "axis", most=14, text_anchor=anchor)
    svg.shape(picture, "line", "zero", x1=x(0.0), x2=x(0.0), y1=22, y2=24 + _ROW * len(pairs))


def _whisker(picture: ET.Element, low: float, high: float, y: float, bar: tuple[float, float]) -> tuple[float, float]:
    """Draw an interval over its bar; the pixels that both together take."""
    for x1, x2, y1, y2 in ((low, high, y, y), (low, low, y - 4, y + 4), (high, high, y - 4, y + 4)):
        svg.shape(picture, "line", "whisker", x1=x1, x2=x2, y1=y1, y2=y2)
    return min(low, bar[0]), max(high, bar[1])


def _histogram(picture: ET.Element, pairs: list[Pair], columns: list[str]) -> None:
    values = [value for _, value, _ in pairs if value is not None]
    y = svg.scale([0.0, *values], 22 + _PLOT, 22)
    ticks = y.ticks()
    left = 14 + CHARACTER * max(len(label) for _, label in ticks)
    svg.write(picture, left, 10, columns[1], "axis")
    for value, label in ticks:
        svg.shape(picture, "line", "grid", x1=left, x2=WIDTH, y1=y(value), y2=y(value))
        svg.write(picture, left - 8, y(value) + 4, label, text_anchor="end")
    width = (WIDTH - left) / len(pairs)
    stride = max(1, -(-len(pairs) * 8 * 7 // int(WIDTH - left)))
    for index, (label, value, _) in enumerate(pairs):
        x = left + width * index
        low, high = sorted((y(0.0), y(value or 0.0)))
        if value:
            svg.shape(picture, "rect", "bar", x=x + 1, y=low, width=max(1.0, width - 2), height=max(1.0, high - low))
        if index % stride == 0:
            svg.write(picture, x + width / 2, 22 + _PLOT + 18, label, most=8, text_anchor="middle")
    svg.shape(picture, "line", "zero", x1=left, x2=WIDTH, y1=y(0.0), y2=y(0.0))
    svg.write(picture, WIDTH - 4, 22 + _PLOT + 36, columns[0], "axis", text_anchor="end")
