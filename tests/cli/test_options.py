import sys

import pytest

from gonogo.cli import options


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    """A package of recipes in the place of the installed one."""
    own = tmp_path / "gonogo_recipes"
    (own / "with_profile").mkdir(parents=True)
    (own / "__init__.py").touch()
    (own / "with_profile" / "profile.yaml").write_text("name: mine\nselect: [model]\n")
    (own / "without").mkdir()
    for name in [name for name in sys.modules if name.split(".")[0] == "gonogo_recipes"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    return own


def test_a_recipe_is_judged_by_its_own_profile(recipes):
    assert options.chosen_profile("with_profile", None, None, None).name == "mine"


def test_a_profile_that_is_asked_for_wins(recipes):
    assert options.chosen_profile("with_profile", "quick", None, None).name == "quick"


@pytest.mark.parametrize("subject", ["without", "package.module:attribute", "file.py", "../with_profile", "", "."])
def test_any_other_subject_is_judged_by_the_standard_profile(recipes, subject):
    assert options.own_profile(subject) == "standard"


def test_what_the_command_line_selects_is_laid_over_the_recipe_s_profile(recipes):
    chosen = options.chosen_profile("with_profile", None, ["attention"], ["loss"], "90s")
    assert (chosen.name, chosen.select, chosen.ignore, chosen.budget) == ("mine", ("attention",), ("loss",), 90.0)
