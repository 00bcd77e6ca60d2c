import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sizes():
    """What tools/sizes.py defines."""
    return runpy.run_path(str(ROOT / "tools" / "sizes.py"))


def test_nothing_is_larger_than_allowed(sizes, capsys):
    assert sizes["main"]() == 0, capsys.readouterr().out


def test_a_long_body_is_found_and_its_docstring_does_not_count(sizes):
    def function(lines):
        return 'def f():\n    """Say\n\n    more.\n    """\n' + "    x = 1\n" * lines

    assert list(sizes["long_bodies"](function(31))) == [("f", 31)]
    assert list(sizes["long_bodies"](function(30))) == []


def test_methods_and_inner_functions_are_measured_too(sizes):
    inner = "class C:\n    def f(self):\n        def g():\n" + "            x = 1\n" * 31
    assert {name for name, _ in sizes["long_bodies"](inner)} == {"f", "g"}


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("gonogo/checks/data/rows.py", 150),
        ("gonogo/core/plan.py", 300),
        ("gonogo_recipes/arc/model.py", 400),
        ("gonogo_recipes/arc/train.py", 300),
    ],
)
def test_each_kind_of_file_has_its_ceiling(sizes, path, lines):
    assert sizes["ceiling"](ROOT / "src" / path) == lines
