import io
from dataclasses import replace

import pytest
from rich.console import Console

from gonogo.reports import as_text, files


@pytest.mark.parametrize(
    ("name", "banner"),
    [
        ("go", "GO: ready to launch"),
        ("no_go", "NO-GO: do not launch (2 checks failed, 1 check did not finish, 1 required check did not run)"),
        ("hold", "HOLD: not known to be ready (1 required check did not run)"),
    ],
)
def test_the_first_line_is_the_answer(reports, name, banner):
    assert as_text.render(reports[name]).splitlines()[0].strip(" ●■▶") == banner


def test_a_reason_has_measured_limit_and_fix(no_go):
    text = as_text.render(no_go)
    assert "shared 0.122 [0.098, 0.149] (n = 500)  expected at most 0 (fails above 0.01)" in text
    assert "fix: Split by recording" in text


def test_a_check_that_did_not_run_is_not_shown_as_its_claim(hold):
    assert "SKIP   evaluation.baseline  Not established: Baseline" in as_text.render(hold)


def test_a_crash_is_not_given_the_advice_for_a_failure(no_go):
    assert "Run the metric on one batch by hand" not in as_text.render(no_go)


def test_a_traceback_is_shown_only_when_asked(no_go):
    assert "Traceback" not in as_text.render(no_go)
    assert "Traceback" in as_text.render(no_go, verbose=True)


def test_what_did_not_run_is_grouped_one_line_each(no_go):
    lines = as_text.render(no_go).splitlines()
    at = lines.index("  Blocked by an earlier failure (1)")
    assert lines[at + 1] == "    ○ learning.data-order  blocked by data.split-overlap"


def test_a_proxy_is_named_at_the_top(no_go):
    assert "PROXY: a 4-layer stand-in" in as_text.render(no_go).splitlines()[2]


def test_no_selected_check_is_said_in_words(go):
    assert "no check was selected" in as_text.render(replace(go, results=()))


def test_the_printed_report_has_the_same_words_as_the_plain_one(no_go):
    console = Console(file=io.StringIO(), width=60, force_terminal=False)
    as_text.print_report(console, no_go)
    printed = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert printed == as_text.render(no_go).splitlines()


def test_a_console_without_unicode_gets_shapes_in_ascii(no_go):
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding="ascii"), width=200)
    as_text.print_report(console, no_go)
    console.file.flush()
    assert b"  x FAIL   data.split-overlap" in raw.getvalue()
    assert b"?" not in raw.getvalue()


def test_markup_in_a_name_is_not_interpreted(go):
    report = replace(go, subject="[bold]x[/bold]")
    console = Console(file=io.StringIO(), width=200)
    as_text.print_report(console, report)
    assert "[bold]x[/bold]" in console.file.getvalue()
    assert "[bold]x[/bold]" in files.render(report, "text")
