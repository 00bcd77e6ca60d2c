import runpy
import sys
from pathlib import Path

GENERATE = Path(__file__).parents[2] / "tools" / "generate.py"


def test_generated_files_are_up_to_date(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    code = runpy.run_path(str(GENERATE))["main"]()
    assert code == 0, capsys.readouterr().out
