from pathlib import Path

import pytest

import gonogo
from gonogo.testing.golden import check_golden

GOLDEN = Path(__file__).parents[1] / "golden" / "api.txt"


def test_the_public_names_are_those_that_were_reviewed():
    check_golden(GOLDEN, "".join(f"{name}\n" for name in sorted(gonogo.__all__)))


def test_there_are_few_enough_to_know_them_all():
    assert len(gonogo.__all__) <= 24


@pytest.mark.parametrize("name", gonogo.__all__)
def test_every_public_name_is_there(name):
    assert getattr(gonogo, name).__name__ == name or name in ("Capability", "Effort", "watch")
    assert name in dir(gonogo)


def test_any_other_name_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'gonogo' has no attribute 'nothing'"):
        gonogo.nothing  # noqa: B018
