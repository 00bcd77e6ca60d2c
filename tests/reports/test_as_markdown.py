from dataclasses import replace

import pytest
from tests.reports.conftest import make_report, make_result

from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Table
from gonogo.reports import as_markdown


def test_the_title_is_the_answer(no_go):
    assert as_markdown.render(no_go).startswith("# ■ NO-GO: do not launch (2 checks failed")


def test_reasons_come_before_warnings_and_what_did_not_run(no_go):
    text = as_markdown.render(no_go)
    places = [
        text.index(f"## {title}\n") for title in ("Why", "Warnings", "Waived", "Did not run", "All checks", "Notes")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "hostile", ["<script>", "a | b", "line\nbreak", "*bold*", "# title", "[x](y)", "`code`", "$x$"]
)
def test_text_is_shown_as_it_is(hostile):
    escaped = as_markdown.escape(hostile)
    assert "\n" not in escaped
    assert all(escaped[i - 1] == "\\" for i, letter in enumerate(escaped) if letter in "<>|*#[]`$")


def test_a_name_in_a_message_notifies_nobody():
    assert "@octocat" not in as_markdown.escape("blame @octocat")


def test_a_pipe_in_a_reason_does_not_break_the_table(no_go):
    odd = replace(no_go.results[2], reason="a | b\nc")
    text = as_markdown.render(replace(no_go, results=(odd,)))
    (line,) = [line for line in text.splitlines() if line.startswith("| ◆ ERROR")]
    assert line.replace("\\|", "").count("|") == 7


def test_long_evidence_is_cut_and_says_so(no_go):
    assert "3 of 61 rows" in as_markdown.render(no_go)


@pytest.mark.requirement("MAFT-10.1")
def test_the_page_has_the_verdict_the_machine_every_result_the_tables_and_what_to_do(no_go):
    page = as_markdown.render(no_go)
    titles = ["Why", "Warnings", "Launch", "Did not run", "All checks", "Environment", "Provenance", "Evidence"]
    places = [page.index(f"\n## {title}\n") for title in titles]
    assert places == sorted(places)
    assert page.startswith("# ■ NO-GO")
    assert "| torch | 2.13.0+cpu |" in page
    assert "**Fix:**" in page
    assert "<details><summary>learning.one-batch-fit: Loss on one batch</summary>" in page


def test_a_page_that_grows_too_long_for_a_comment_leaves_tables_out_and_says_so():
    measured = [(at_most("loss", fail=1, source="s"), Measurement(0.5))]
    table = Table("Long", ("name", "value"), tuple((f"row {i} " + "x" * 150, i) for i in range(10)))
    report = make_report(*(make_result(f"data.check-{i}", measured=measured, tables=[table]) for i in range(60)))
    page = as_markdown.render(report)
    assert len(page) < 65_536
    assert page.count("<summary>data.check-") > 5
    assert "more checks are in report.json" in page
