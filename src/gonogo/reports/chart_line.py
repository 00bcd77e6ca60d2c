"""Curves: the first column is x, each other column a series."""

from xml.etree import ElementTree as ET

from gonogo.core.measurement import Table
from gonogo.reports import svg
from gonogo.reports.svg import CHARACTER, WIDTH, Scale
from gonogo.reports.wording import cell, shorten

MOST = 8  # series: as many as the palette tells apart
_POINTS = 250  # per curve: more than one every three pixels does not show
_PLOT = 190.0

Point = tuple[float, float]


def draw(table: Table, id: str, finding: str) -> ET.Element:
    """All series over one x axis; cells without a number are gaps."""
    columns = range(1, min(len(table.columns), MOST + 1))
    values = [v for row in table.rows for c in columns if c < len(row) and (v := svg.as_number(row[c])) is not None]
    names = [table.columns[column] for column in columns]
    rows = _legend_rows(names)
    top = 22.0 + 18.0 * len(rows)
    picture = svg.canvas(top + _PLOT + 42, id, table.title, finding)
    _legend(picture, rows)
    y = svg.scale(values, top + _PLOT, top, pad=0.04, log=True)
    left = 14 + CHARACTER * max((len(label) for _, label in y.ticks()), default=1)
    _grid(picture, y, left)
    xs, labels = _positions(table, left)
    for at, label in labels:
        svg.write(picture, at, top + _PLOT + 18, label, text_anchor="middle", most=14)
    svg.write(picture, WIDTH - 4, top + _PLOT + 36, table.columns[0], "axis", text_anchor="end")
    if y.log:
        svg.write(picture, WIDTH - 4, top - 8, "logarithmic scale", "axis", text_anchor="end")
    for series, column in enumerate(columns):
        numbers = [svg.as_number(row[column]) if column < len(row) else None for row in table.rows]
        points = [None if number is None else (at, y(number)) for at, number in zip(xs, numbers, strict=True)]
        _curve(picture, points, series)
    return picture


def _positions(table: Table, left: float) -> tuple[list[float], list[tuple[float, str]]]:
    """The pixel of every row, and the labels of the axis. An x that is not all numbers counts rows instead."""
    raw = [svg.as_number(row[0]) if row else None for row in table.rows]
    numbers = [value for value in raw if value is not None]
    if len(numbers) == len(raw):
        x = svg.scale(numbers, left + 6, WIDTH - 16)
        return [x(value) for value in numbers], [(x(value), label) for value, label in x.ticks(6)]
    x = svg.scale([0.0, float(max(1, len(raw) - 1))], left + 30, WIDTH - 40)
    stride = -(-len(raw) // 7)
    labels = [(x(i), cell(table.rows[i][0]) if table.rows[i] else "") for i in range(0, len(raw), stride)]
    return [x(index) for index in range(len(raw))], labels


def _grid(picture: ET.Element, y: Scale, left: float) -> None:
    for value, label in y.ticks():
        at = y(value)
        svg.shape(picture, "line", "grid", x1=left, x2=WIDTH, y1=at, y2=at)
        svg.write(picture, left - 8, at + 4, label, text_anchor="end")


def _legend_rows(names: list[str]) -> list[list[tuple[float, int, str]]]:
    """(x, series, name) by line of the legend."""
    rows: list[list[tuple[float, int, str]]] = [[]]
    x = 0.0
    for series, name in enumerate(names):
        text = shorten(name, 40)
        width = 52 + CHARACTER * len(text)
        if x + width > WIDTH and rows[-1]:
            rows.append([])
            x = 0.0
        rows[-1].append((x, series, text))
        x += width
    return rows


def _legend(picture: ET.Element, rows: list[list[tuple[float, int, str]]]) -> None:
    for line, entries in enumerate(rows):
        y = 12 + 18.0 * line
        for x, series, name in entries:
            svg.shape(picture, "line", f"curve s{series}", x1=x, x2=x + 26, y1=y, y2=y)
            svg.write(picture, x + 33, y + 4, name, "label")


def _curve(picture: ET.Element, points: list[Point | None], series: int) -> None:
    path: list[str] = []
    for run in _runs(points):
        if len(run) == 1:
            svg.shape(picture, "circle", f"dot s{series}", cx=run[0][0], cy=run[0][1], r=3.5)
            continue
        thin = _thinned(run)
        path.append("M" + "L".join(f"{svg.place(x)} {svg.place(y)}" for x, y in thin))
    if path:
        svg.shape(picture, "path", f"curve s{series}", d="".join(path))


def _runs(points: list[Point | None]) -> list[list[Point]]:
    """The stretches without a gap."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _thinned(run: list[Point]) -> list[Point]:
    """The lowest and highest point of every stretch, so that no spike is lost; the last point stays."""
    if len(run) <= _POINTS:
        return run
    size = -(-2 * len(run) // _POINTS)
    kept: list[Point] = []
    for start in range(0, len(run), size):
        stretch = range(start, min(start + size, len(run)))
        ends = {min(stretch, key=lambda i: run[i][1]), max(stretch, key=lambda i: run[i][1])}
        kept += [run[i] for i in sorted(ends)]
    return kept if kept[-1] == run[-1] else [*kept, run[-1]]
