"""A page of findings and tables that is no verdict on checks: what a study found, say."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from gonogo.core.measurement import Table
from gonogo.reports import as_html, as_markdown, figures, wording
from gonogo.reports.clean import legal, safe
from gonogo.reports.files import write
from gonogo.reports.rows import flat

SCHEMA = 1  # raised when a reader of an older version would misread the file


@dataclass(frozen=True, slots=True)
class Document:
    """What every format is a function of.

    Args:
        title: What it is about.
        answer: The finding in one sentence.
        flags: What a reader must not miss.
        notes: What else to know.
        tables: The evidence, the most important first.
        numbers: The same for a spreadsheet, one number a cell.
        facts: How it came about: command, versions, machine, time.
        proxy: What it stands in for, if it is a stand-in.
    """

    title: str
    answer: str
    tables: tuple[Table, ...]
    numbers: Table
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    proxy: str = ""


_DOCUMENT = TypeAdapter(Document)


def html(document: Document) -> str:
    """One file without script that loads nothing."""
    ids = count(1)
    return as_html.template("document.html.j2").render(
        document=document,
        css=as_html.css(),
        figure=lambda table: figures.figure(table, f"figure-{next(ids)}"),
    )


def markdown(document: Document) -> str:
    """The same for a pull request or a page of documentation."""
    return "\n".join(_lines(document)).rstrip() + "\n"


def plain(document: Document) -> str:
    """Strict JSON: everything."""
    content = {"schema": SCHEMA, **_DOCUMENT.dump_python(document, mode="json")}
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def comma_separated(document: Document) -> str:
    """`numbers` for a spreadsheet, empty cells where a number is undefined."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(document.numbers.columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in document.numbers.rows)
    return text.getvalue()


def text(document: Document) -> str:
    """The answer, the flags and the first tables, for a terminal."""
    lines = [document.title, f"  {document.answer}"]
    lines += [f"  PROXY: {document.proxy}"] if document.proxy else []
    for table in document.tables[:2]:
        lines += ["", *aligned(table)]
    for title, items in (("Flags", document.flags), ("Notes", document.notes)):
        lines += ["", title, *(f"  {item}" for item in items)] if items else []
    return legal("\n".join(lines)) + "\n"


def aligned(table: Table) -> list[str]:
    """A table for a terminal: its title, then every row with its cells below each other."""
    cells = [list(table.columns), *([wording.cell(cell) for cell in row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rows = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return [table.title, *(f"  {row}".rstrip() for row in rows)]


def write_all(document: Document, folder: Path) -> dict[str, Path]:
    """The paths of the files, by format."""
    document = _DOCUMENT.validate_python(safe(_DOCUMENT.dump_python(document, mode="json")))
    content = {
        "json": ("report.json", plain(document)),
        "csv": ("table.csv", comma_separated(document)),
        "markdown": ("report.md", markdown(document)),
        "html": ("report.html", html(document)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, written in content.values():
        write(folder / name, written)
    return {format: folder / name for format, (name, _) in content.items()}


def _lines(document: Document) -> Iterator[str]:
    escape = as_markdown.escape
    yield from (f"# {escape(document.title)}", "", escape(document.answer))
    if document.proxy:
        yield from ("", f"> **Proxy:** {escape(document.proxy)}")
    for title, items in (("Flags", document.flags), ("Notes", document.notes)):
        if items:
            yield from ("", f"## {title}", "", *(f"- {escape(item)}" for item in items))
    for table in document.tables:
        yield from ("", f"## {escape(table.title)}", "")
        rows = table.rows if table.kind != "line" else table.rows[:: max(1, len(table.rows) // 10)]
        yield from as_markdown.grid(table.columns, ([wording.cell(cell) for cell in row] for row in rows))
    if document.facts:
        yield from ("", "## How it came about", "")
        yield from (f"- {escape(key)}: {escape(value)}" for key, value in flat(document.facts))
