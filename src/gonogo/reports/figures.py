"""A table with its picture, ready to be laid out on a page."""

from dataclasses import dataclass

from markupsafe import Markup

from gonogo.core.measurement import Table
from gonogo.reports import charts
from gonogo.reports.wording import cell, shorten

FOLDED = 10  # rows from which a table is shown on demand: a page of twenty tables must still be read
_ROWS = 50  # of a data table behind a curve
_CELL = 300  # characters


@dataclass(frozen=True, slots=True)
class Figure:
    """What the page shows of a table."""

    id: str
    title: str
    finding: str
    picture: Markup
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str

    @property
    def folded(self) -> bool:
        """Is the table too long to stand open?"""
        return len(self.rows) > FOLDED


def figure(table: Table, id: str) -> Figure:
    """The picture of the table if it has one, and its rows as text."""
    stride = max(1, -(-len(table.rows) // _ROWS))
    kept = table.rows[::stride]
    note = f"Every {stride}th row; all are in report.json." if stride > 1 else ""
    if table.total > len(table.rows) and table.kind != "line":
        note = f"{len(table.rows)} of {table.total:,} rows."
    picture, finding = charts.draw(table, id), charts.finding(table)
    if not picture and table.kind != "table":
        note = finding
    columns = range(len(table.columns))
    return Figure(
        id=id,
        title=table.title,
        finding=finding,
        picture=Markup(picture),  # noqa: S704 - escaped by ElementTree
        columns=table.columns,
        numeric=tuple(any(isinstance(row[c], int | float) for row in kept if c < len(row)) for c in columns),
        # A short row is filled up, a long one cut: every cell has a header.
        rows=tuple(tuple(shorten(cell(row[c] if c < len(row) else None), _CELL) for c in columns) for row in kept),
        note=note,
    )
