"""Examples of the frameworks, through their adapters, on real data."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
# What asks about the model, its data and its loss; the checks that train it take a minute.
PROFILE = "extends: quick\nignore: [learning, reproducibility, efficiency, gradient, optimizer, evaluation, config]\n"
RUNS = ["gpt.py:subject", "lightning_digits.py:run", "trainer_gpt.py:trainer"]


@pytest.mark.parametrize("run", RUNS)
def test_a_preflight_of_the_example_is_go(run, tmp_path):
    (tmp_path / "short.yaml").write_text(PROFILE)
    command = [sys.executable, "-m", "gonogo", "run", str(EXAMPLES / run), "--profile", "short.yaml", "--out", "report"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "GO: ready to launch" in done.stdout
