"""What answers at once must not import torch, which takes seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

CORE = sorted(path.stem for path in (Path(__file__).parents[2] / "src" / "gonogo" / "core").glob("[a-z]*.py"))
VERB = """
import runpy, sys
sys.argv = ["gonogo", {0!r}]
try:
    runpy.run_module("gonogo", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
"""
LINES = {
    "import gonogo": "import gonogo",
    "--help": VERB.format("--help"),
    "--version": VERB.format("--version"),
    "list": VERB.format("list"),
    "core": "".join(f"import gonogo.core.{name}\n" for name in CORE),
    "supervisor": "import gonogo.execution.supervisor",
    "reports": "import gonogo.reports.files",
}


@pytest.mark.parametrize("line", LINES)
def test_torch_is_not_imported(line):
    code = LINES[line] + "\nimport sys\nassert not {'torch', 'numpy'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
