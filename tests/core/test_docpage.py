import pytest

from gonogo.core.docpage import SECTIONS, parse
from gonogo.errors import CheckError

GOOD = """it holds | it does not hold

    What: one
        and two: three.
    Why: b
    Fix: c
    Shapes: d
    Units: e
    Source: f
    """


def test_titles_and_sections_are_taken_apart():
    page = parse(GOOD, "x")
    assert (page.title_pass, page.title_fail) == ("it holds", "it does not hold")
    assert (page.why, page.fix, page.shapes, page.units, page.source) == ("b", "c", "d", "e", "f")


def test_a_section_goes_on_over_lines_and_only_known_heads_end_it():
    assert parse(GOOD, "x").what == "one and two: three."


@pytest.mark.parametrize("section", SECTIONS)
def test_a_missing_section_is_named(section):
    with pytest.raises(CheckError, match=f"x: the docstring lacks {section}; it needs all of"):
        parse(GOOD.replace(f"{section}:", "Else:"), "x")


@pytest.mark.parametrize("section", SECTIONS)
def test_an_empty_section_is_a_missing_one(section):
    lines = [f"    {section}:" if line.strip().startswith(f"{section}:") else line for line in GOOD.splitlines()]
    text = "\n".join(line for line in lines if "two: three" not in line)
    with pytest.raises(CheckError, match=f"lacks {section}"):
        parse(text, "x")


@pytest.mark.parametrize("first", ["only one title", "a | b | c", "a |", " | b", ""])
def test_the_first_line_must_be_two_titles(first):
    with pytest.raises(CheckError, match="title when it passes"):
        parse(GOOD.replace("it holds | it does not hold", first), "x")


def test_no_docstring_at_all_is_refused_likewise():
    with pytest.raises(CheckError, match="x: the first docstring line"):
        parse(None, "x")
