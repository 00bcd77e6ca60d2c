import pytest
from tests.core.conftest import CRITERION, DOC

from gonogo.core.catalogue import Catalogue, load_index
from gonogo.core.check import Check, Effort, Fault, Param
from gonogo.core.criterion import Status, at_most
from gonogo.reports.pages import as_index, as_page


def make_check(check_id, **fields):
    plain = {"needs": (), "effort": Effort.READ, "criteria": (CRITERION,), "doc": DOC}
    return Check(id=check_id, module="nowhere", name="nothing", **{**plain, **fields})


def test_a_page_has_every_part_of_the_check():
    check = make_check(
        "data.a",
        params=(Param("rows", "int", 3),),
        after=("data.before",),
        faults=(Fault("half", "Half is gone.", Status.WARN, "vae"),),
    )
    page = as_page(check)
    assert page.startswith("# data.a\n\nall is well, or: all is not well.\n")
    for part in (
        "**Why** why",
        "`rows` (int, default `3`)",
        "After: data.before",
        "`half`: Half is gone. Answer: WARN",
    ):
        assert part in page


def test_a_page_of_a_check_without_parameters_says_so():
    assert "**Parameters**\n\nNone." in as_page(make_check("data.a"))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"fail": 2}, "PASS at most 2, else FAIL."),
        ({"warn": 1}, "PASS at most 1, else WARN."),
        ({"warn": 1, "fail": 2}, "PASS at most 1, FAIL unless at most 2, WARN between."),
    ],
)
def test_limits_are_described_as_they_judge(limits, words):
    check = make_check("data.a", criteria=(at_most("m", **limits, source="a test"),))
    assert f"- `m`: {words} Source: a test." in as_page(check)


def test_the_index_links_every_check_to_its_page():
    text = as_index(Catalogue((make_check("data.a"), make_check("data.b"))))
    assert "| [data.a](data.a.md) | READ | all is well |" in text
    assert text.count("\n| [") == 2


def test_every_shipped_check_has_a_page_without_holes():
    for check in load_index():
        assert all(part.split("**")[2].strip() for part in as_page(check).split("\n\n**")[1:] if part.count("**") > 1)
