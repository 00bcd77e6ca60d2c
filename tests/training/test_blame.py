import json

import pytest

from gonogo.errors import SubjectError
from gonogo.training import blame


@pytest.mark.parametrize(
    "error", [NameError("x"), IndexError("index out of range"), ValueError("0 rows"), KeyError("a")]
)
def test_an_error_of_the_program_would_be_raised_anywhere(error):
    assert blame.is_programs(error)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        FileNotFoundError("data.csv"),
        ModuleNotFoundError("apex"),
        SubjectError("no batch"),
        AssertionError("Torch not compiled with CUDA enabled"),
        RuntimeError("DataLoader worker (pid 7) exited unexpectedly"),
    ],
)
def test_what_the_machine_lacks_is_not_held_against_the_program(error):
    assert not blame.is_programs(error)


def test_the_place_is_the_innermost_line_of_the_users_own_code():
    def fails():
        raise ArithmeticError

    with pytest.raises(ArithmeticError) as caught:
        fails()
    assert blame.origin(caught.value).startswith("test_blame.py:")
    assert blame.origin(caught.value).endswith(" in fails")


@pytest.mark.parametrize(
    ("filename", "library"),
    [
        (json.__file__, True),
        (pytest.__file__, True),
        (blame.__file__, True),
        ("<string>", True),
        ("/srv/team/src/gonogo/train.py", False),
        (__file__, False),
    ],
)
def test_libraries_are_told_by_where_they_are_installed(filename, library):
    assert blame.is_library(filename) is library
