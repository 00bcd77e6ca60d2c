import re
from dataclasses import replace
from itertools import pairwise

import html5lib
import pytest
from tests.reports.conftest import curve, make_report, make_result

from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Table
from gonogo.core.plan import Skip
from gonogo.reports import as_html, rows

EVIL = "</style></title><script>alert(1)</script><img src=http://x onerror=y>\"'&"


def parse(page):
    """The document, tags without namespaces; any error of syntax is an exception."""
    document = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    for element in document.iter():
        element.tag = str(element.tag).rpartition("}")[2]
    return document


def crowd(checks, points, series=2):
    """Many checks with one curve each."""
    table = curve(points)
    wide = Table(
        "Curves",
        ("step", *map(str, range(series))),
        tuple((r[0], *[r[1] + i for i in range(series)]) for r in table.rows),
        "line",
    )
    measured = [(at_most("loss", fail=1, source="s"), Measurement(0.5))]
    return make_report(*(make_result(f"data.check-{i}", measured=measured, tables=[wide]) for i in range(checks)))


@pytest.mark.parametrize("name", ["go", "no_go", "hold"])
def test_the_page_is_valid_html(reports, name):
    parse(as_html.render(reports[name]))


@pytest.mark.parametrize("name", ["go", "no_go", "hold"])
def test_ids_are_unique_and_every_reference_is_met(reports, name):
    document = parse(as_html.render(reports[name]))
    ids = [e.get("id") for e in document.iter() if e.get("id")]
    wanted = [e.get("href").removeprefix("#") for e in document.iter("a")]
    wanted += [i for e in document.iter() if e.get("aria-labelledby") for i in e.get("aria-labelledby").split()]
    assert len(ids) == len(set(ids))
    assert set(wanted) <= set(ids)


def test_nothing_is_loaded_and_nothing_runs(no_go):
    page = as_html.render(no_go)
    document = parse(page)
    assert "<script" not in page
    assert not [
        e.tag for e in document.iter() if e.tag in ("link", "script", "iframe", "img", "object", "embed", "base")
    ]
    assert all(
        not value.lstrip().startswith(("http", "//", "javascript:"))
        for e in document.iter()
        for value in e.attrib.values()
    )
    assert not [name for e in document.iter() for name in e.attrib if name.startswith("on")]
    assert "url(" not in page
    assert "@import" not in page


def test_the_policy_forbids_scripts_and_loading(no_go):
    meta = next(e for e in parse(as_html.render(no_go)).iter("meta") if e.get("http-equiv"))
    assert meta.get("content") == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_hostile_names_stay_text(no_go):
    evil = Table(EVIL, (EVIL, EVIL), ((EVIL, 1.0), (EVIL, 2.0)), "bar")
    measured = [(at_most(EVIL, fail=0, source=EVIL), Measurement(1, EVIL))]
    texts = dict.fromkeys(("title", "reason", "fix", "why"), EVIL)
    result = make_result(f"data.{EVIL}", Status.FAIL, measured=measured, tables=[evil], params={EVIL: EVIL}, **texts)
    report = replace(
        no_go, subject=EVIL, proxy=EVIL, notes=(EVIL,), environment={EVIL: {EVIL: EVIL}}, results=(result,)
    )
    document = parse(as_html.render(report))
    assert not list(document.iter("script"))
    assert not list(document.iter("img"))
    assert sum(EVIL in (e.text or "") for e in document.iter()) > 8


def test_the_page_has_landmarks_a_language_and_headings_in_order(no_go):
    document = parse(as_html.render(no_go))
    levels = [int(e.tag[1]) for e in document.iter() if re.fullmatch("h[1-6]", str(e.tag))]
    assert document.get("lang") == "en"
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert next(document.iter("a")).get("class") == "skip-link"
    assert document.find(".//main") is not None


def test_every_table_has_a_caption_and_headers_with_a_scope(no_go):
    for table in parse(as_html.render(no_go)).iter("table"):
        assert table.find("caption") is not None
        assert all(header.get("scope") for header in table.iter("th"))


def test_every_picture_is_announced_and_has_its_numbers_behind_it(no_go):
    document = parse(as_html.render(no_go))
    pictures = [e for e in document.iter("svg") if not e.get("aria-hidden")]
    assert len(pictures) > 8
    assert all(e.get("role") == "img" and e.find("title").text and e.find("desc").text for e in pictures)
    figures = [e for e in document.iter("figure") if e.find("svg") is not None]
    assert len(figures) == 4
    assert all(figure.find("details//table") is not None for figure in figures)


def test_sections_come_in_the_order_of_importance(no_go):
    titles = [e.text for e in parse(as_html.render(no_go)).iter("h2")]
    assert titles == [
        "Why not",
        "Warnings",
        "Launch",
        "What did not run",
        "All checks",
        "Waivers and notes",
        "Environment and provenance",
    ]


@pytest.mark.parametrize(
    "text", ["1 required check did not run", "4 of 5 checks ran", "captioning/train.py:subject", "standard"]
)
def test_the_banner_says(hold, text):
    page = as_html.render(hold)
    assert text in page[: page.index("<main")]


def test_a_measurement_that_passes_is_one_line_of_a_finding_without_a_gauge():
    measured = [
        (at_most("bad", fail=1, source="s"), Measurement(2)),
        (at_most("good", fail=9, source="s"), Measurement(3)),
    ]
    document = parse(as_html.render(make_report(make_result("data.x", Status.FAIL, measured=measured))))
    (card,) = document.iter("article")
    assert len(list(card.iter("svg"))) == 1
    assert "good 3" in "".join(card.find("ul").itertext())


def test_a_proxy_is_labelled_before_anything_else(no_go, go):
    page = as_html.render(no_go)
    assert "<strong>Proxy</strong> a 4-layer stand-in" in page[: page.index("<main")]
    assert "<strong>Proxy</strong>" not in as_html.render(go)


def test_sixty_checks_with_curves_stay_under_a_megabyte_with_all_figures():
    page = as_html.render(crowd(60, 300))
    assert len(page.encode()) < as_html.LIMIT
    assert page.count("<figure") == 60


@pytest.mark.slow
def test_evidence_of_passing_checks_gives_way_when_the_page_would_grow_too_large():
    page = as_html.render(crowd(60, 500, series=8))
    assert len(page.encode()) < as_html.LIMIT
    assert "Some figures are left out" in page


def test_an_empty_report_is_a_page_too():
    parse(as_html.render(make_report(environment={}, provenance={}, profile={})))


def test_prose_keeps_paragraphs_and_code_and_nothing_else():
    assert as_html.prose("a `b<c>`\nd\n\ne") == "<p>A <code>b&lt;c&gt;</code> d</p><p>e</p>"


def test_nested_facts_are_flattened_and_empty_ones_left_out():
    found = list(rows.flat({"a": {"b": 1, "c": ""}, "d": [1, 2], "e": None, "f": False}))
    assert found == [("a.b", "1"), ("d", "1, 2"), ("f", "False")]


@pytest.mark.requirement("MAFT-10.3")
@pytest.mark.parametrize(("rows", "folded"), [(10, False), (11, True)])
def test_a_table_of_more_than_ten_rows_is_folded(rows, folded):
    table = Table("Long", ("name", "value"), tuple((f"row {i}", i) for i in range(rows)))
    measured = [(at_most("bad", fail=1, source="s"), Measurement(2))]
    document = parse(as_html.render(make_report(make_result("data.x", Status.FAIL, measured=measured, tables=[table]))))
    (figure,) = document.find(".//article").iter("figure")
    assert (figure.find("details") is not None) == folded


def test_a_reason_that_many_checks_share_is_said_once():
    reason = "runs, but not under what this check does"
    skipped = [
        make_result(f"data.check-{i}", Status.SKIP, skip=Skip.NOT_APPLICABLE, reason=reason, criteria=())
        for i in range(5)
    ]
    document = parse(as_html.render(make_report(*skipped)))
    (table,) = [table for table in document.iter("table") if table.get("class") == "unknown"]
    cells = ["".join(cell.itertext()) for cell in table.iter("td")]
    assert [cell for cell in cells if cell.lower().startswith("runs, but")] == [reason.capitalize()]
    assert len(list(table.iter("code"))) == 5
