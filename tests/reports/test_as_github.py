import re
from dataclasses import replace

from gonogo.reports.as_github import render

COMMAND = re.compile(r"::(error|warning) title=[^:,\r\n]+::[^\r\n]+")


def test_every_line_is_a_command_and_failures_come_before_warnings(no_go):
    lines = render(no_go).splitlines()
    levels = [COMMAND.fullmatch(line)[1] for line in lines]
    assert levels == ["error"] * len(no_go.reasons) + ["warning"]
    assert lines[0].startswith("::error title=data.split-overlap%3A Training and validation share recordings::")


def test_a_report_cannot_smuggle_a_command_in(no_go):
    bad = replace(no_go.results[0], reason="50%\r\n::add-mask::x", title="a,b:c\n::set-env name=PATH::x", verdicts=())
    text = render(replace(no_go, results=(bad,)))
    assert text.count("\n") == 1
    assert COMMAND.fullmatch(text.strip())
    assert "50%25%0D%0A::add-mask::x" in text


def test_at_most_ten_are_shown(no_go):
    many = tuple(replace(no_go.results[0], id=f"data.number-{index}") for index in range(30))
    assert len(render(replace(no_go, results=many)).splitlines()) == 10


def test_a_go_says_nothing(go):
    assert render(go) == ""
