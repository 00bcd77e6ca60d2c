"""The five stories behind the requirements: each must come out NO-GO in a minute, for its own reason."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
REASONS = {
    "arc_target_is_the_input": ("sequence",),
    "astro_another_count": ("model.parameter-count",),
    "maft_two_worlds": ("data",),
    "multitrack_defaults_win": ("config", "model.parameter-count", "model.modality"),
    "safe_curriculum": ("config",),
}


def report_of(name, folder, *overrides):
    subject = f"benchmarks/stories/{name}.py:build"
    command = [sys.executable, "-m", "gonogo", "run", subject, *overrides, "--out", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=280, check=False)
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", REASONS)
def test_the_mistake_of_a_story_is_found_and_named_first(name, tmp_path):
    started = time.monotonic()
    report = report_of(name, tmp_path, "faulty=true")
    assert report["verdict"] == "NO-GO"
    assert report["reasons"][0]["id"].startswith(REASONS[name])
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("name", REASONS)
def test_a_story_without_its_mistake_is_ready(name, tmp_path):
    report = report_of(name, tmp_path)
    assert report["verdict"] == "GO", report["reasons"]
