import runpy
import sys
from pathlib import Path

import pytest

from gonogo.core.catalogue import load_index
from gonogo.core.plan import make_plan
from gonogo.core.profile import BUILTIN, load_profile

GENERATE = Path(__file__).parents[2] / "tools" / "generate.py"


def test_generated_files_are_up_to_date(monkeypatch, capsys):
    monkeypatch.syspath_prepend(GENERATE.parent)
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    code = runpy.run_path(str(GENERATE))["main"]()
    assert code == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", BUILTIN)
def test_every_shipped_profile_fits_the_shipped_checks(name):
    assert make_plan(load_index(), load_profile(name), ()).steps
