"""Examples of the frameworks, through their adapters, on real data."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
RUNS = ["gpt.py:subject", "lightning_digits.py:run", "trainer_gpt.py:trainer"]


@pytest.mark.parametrize("run", RUNS)
def test_a_preflight_of_the_example_is_go(run, tmp_path):
    command = [sys.executable, "-m", "gonogo", "run", str(EXAMPLES / run), "--profile", "quick", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "GO: ready to launch" in done.stdout
