import json

import html5lib
import pytest

from gonogo.core.measurement import Table
from gonogo.reports import document
from gonogo.reports.document import Document

BARS = Table(
    "Accuracy", ("variant", "accuracy", "low", "high"), (("ours", 0.9, 0.8, 1.0), ("late", 0.6, 0.5, 0.7)), "bar"
)
NUMBERS = Table("n", ("variant", "accuracy"), (("ours", 0.9), ("late, wide", None)))
EVIL = "</style><script>alert(1)</script>"


def page(**changes):
    fields = {"title": "A study", "answer": "Ours is ahead.", "tables": (BARS,), "numbers": NUMBERS}
    return Document(**{**fields, **changes})


def test_four_files_are_written(tmp_path):
    written = document.write_all(page(), tmp_path)
    assert {format: path.name for format, path in written.items()} == {
        "json": "report.json",
        "csv": "table.csv",
        "markdown": "report.md",
        "html": "report.html",
    }
    assert (tmp_path / "table.csv").read_text() == 'variant,accuracy\nours,0.9\n"late, wide",\n'
    assert json.loads((tmp_path / "report.json").read_text())["tables"][0]["rows"][0] == ["ours", 0.9, 0.8, 1.0]


@pytest.mark.parametrize("flags", [(), ("ours is behind late",)])
def test_the_page_is_valid_html_with_its_flags(flags):
    text = document.html(page(flags=flags, proxy="toy data", facts={"command": "gonogo study x"}))
    html5lib.HTMLParser(strict=True).parse(text)
    assert ("ours is behind late" in text) == bool(flags)
    assert "toy data" in text
    assert "gonogo study x" in text


def test_nothing_hostile_gets_out_of_its_place(tmp_path):
    hostile = page(title=EVIL, answer=EVIL, flags=(EVIL,), tables=(Table(EVIL, (EVIL,), ((EVIL,),)),))
    document.write_all(hostile, tmp_path)
    assert "<script>" not in (tmp_path / "report.html").read_text()
    assert "<script>" not in (tmp_path / "report.md").read_text().replace("\\<script\\>", "")


def test_secrets_stay_here(tmp_path):
    document.write_all(page(facts={"settings": {"api_key": "abcdef123456"}}), tmp_path)
    assert not [path for path in tmp_path.iterdir() if "abcdef123456" in path.read_text()]


def test_the_terminal_gets_aligned_tables_flags_and_the_proxy():
    lines = document.text(page(flags=("look here",), proxy="toy data")).splitlines()
    assert lines[:3] == ["A study", "  Ours is ahead.", "  PROXY: toy data"]
    assert lines.index("  ours     0.9       0.8  1")
    assert lines[-1] == "  look here"
