"""A table as an inline picture: pure functions, no script, no library, well-formed for any table."""

from gonogo.core.measurement import Table
from gonogo.reports import chart_bar, chart_heat, chart_line, svg
from gonogo.reports.clean import legal
from gonogo.reports.wording import cell, count, shorten

_NAMED = 3  # series that the sentence names
_PICTURES = {"line": chart_line.draw, "bar": chart_bar.draw, "heatmap": chart_heat.draw}

Point = tuple[float, str]


def draw(table: Table, id: str) -> str:
    """The picture of a table as SVG text, empty where the table says more (kind "table", or nothing to draw)."""
    if table.kind not in _PICTURES or not _points(table):
        return ""
    return svg.markup(_PICTURES[table.kind](table, id, finding(table)))


def finding(table: Table) -> str:
    """What the picture shows, in numbers: the sentence for those who do not see it, and for those in a hurry."""
    if not table.rows:
        return "There are no rows."
    if table.kind == "table":
        shown = len(table.rows)
        return f"{shown} of {count(table.total, 'row')}" if table.total > shown else ""
    if not _points(table):
        return "There is no number to draw."
    text = _series(table) if table.kind == "line" else _extremes(table)
    left_out = _left_out(table)
    return legal(text + (f" {left_out}" if left_out else ""))


def _series(table: Table) -> str:
    sentences = [_course(table, column) for column in range(1, len(table.columns))]
    more = len(sentences) - _NAMED
    named = "; ".join(sentences[:_NAMED])
    return f"{named}; and {more} more." if more > 0 else f"{named}."


def _course(table: Table, column: int) -> str:
    name, x = shorten(table.columns[column], 40), shorten(table.columns[0], 20)
    cells = [(row[0], row[column]) for row in table.rows if column < len(row)]
    points = [(at, value) for at, raw in cells if (value := svg.as_number(raw)) is not None]
    if not points:
        return f"{name} has no number"
    at, lowest = min(points, key=lambda point: point[1])
    if len(points) == 1:
        return f"{name} is {cell(lowest)} at {x} {shorten(cell(at), 20)}"
    if lowest == max(value for _, value in points):
        return f"{name} stays at {cell(lowest)}"
    ends = f"{name} goes from {cell(points[0][1])} to {cell(points[-1][1])}"
    return f"{ends}, lowest {cell(lowest)} at {x} {shorten(cell(at), 20)}"


def _extremes(table: Table) -> str:
    points = _points(table)
    (low, where_low), (high, where_high) = min(points), max(points)
    text = f"{count(len(points), 'value')}, from {cell(low)} ({where_low}) to {cell(high)} ({where_high})."
    cells = sum(len(row[1:] if table.kind == "heatmap" else row[1:2]) for row in table.rows)
    empty = cells - len(points)
    return f"{text} {count(empty, 'cell')} without a number." if empty else text


def _points(table: Table) -> list[Point]:
    last = 2 if table.kind == "bar" else len(table.columns)
    return [
        (value, _where(table, row[0], column))
        for row in table.rows
        for column in range(1, min(last, len(row)))
        if (value := svg.as_number(row[column])) is not None
    ]


def _where(table: Table, label: object, column: int) -> str:
    names = [shorten(cell(label), 30)]
    if table.kind == "heatmap":
        names.append(shorten(table.columns[column], 30))
    return ", ".join(names)


def _left_out(table: Table) -> str:
    drawn, there, noun = {
        "line": (chart_line.MOST, len(table.columns) - 1, "series"),
        "bar": (chart_bar.most(table), table.total, "bars"),
        "heatmap": (chart_heat.most_columns(table), len(table.columns) - 1, "columns"),
    }[table.kind]
    return f"The first {drawn} of {there} {noun} are drawn." if there > drawn else ""
