from dataclasses import replace

import pytest

from gonogo.reports import files
from gonogo.reports.clean import clean, legal

SECRET = "hf_" + "a1B2" * 6


@pytest.mark.parametrize("format", files.FORMATS)
def test_no_format_shows_a_secret(no_go, format):
    leaking = replace(no_go.results[0], reason=f"cannot log in with {SECRET}", fix=f"use {SECRET}", verdicts=())
    report = replace(
        no_go, subject=f"train --token={SECRET}", results=(leaking, *no_go.results[1:]), notes=(SECRET,), proxy=SECRET
    )
    assert SECRET not in files.render(report, format)


@pytest.mark.parametrize("format", files.FORMATS)
def test_no_format_carries_a_character_that_files_or_xml_refuse(no_go, format):
    bad = "a\x00b\x1b[31mc\ud800d\ufffe"
    results = (replace(no_go.results[0], reason=bad), *no_go.results[1:])
    text = files.render(replace(no_go, subject=bad, results=results, notes=("\x08",)), format)
    assert legal(text) == text
    assert "abcd" in text.replace("\\", "")
    text.encode("utf-8")


def test_a_clean_report_keeps_its_verdict_and_results(no_go):
    cleaned = clean(no_go)
    assert cleaned.verdict == no_go.verdict
    assert [result.status for result in cleaned.results] == [result.status for result in no_go.results]
