"""What other people's continuous integration runs: the GitHub Action and the pre-commit hook."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gonogo.core.capability import Capability
from gonogo.core.catalogue import load_index
from gonogo.core.check import Effort
from gonogo.core.plan import make_plan
from gonogo.core.profile import load_profile

ROOT = Path(__file__).parents[2]
STEPS = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
SCRIPTS = {step["name"]: step["run"] for step in STEPS if "run" in step}


@pytest.fixture
def measure(tmp_path):
    """Run the step that measures, as GitHub would."""

    def run(subject, **inputs):
        files = {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        given = {"SUBJECT": subject, "OVERRIDES": "", "PROFILE": "", "TO": "", "RUNNER_TEMP": str(tmp_path), **inputs}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", SCRIPTS["Measure"]],
            env={**os.environ, "PATH": path, "CI": "true", **files, **given},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        lines = (tmp_path / "GITHUB_OUTPUT").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines), done

    return run


def test_no_input_is_pasted_into_a_script():
    assert SCRIPTS.keys() == {"Install gonogo", "Measure", "Verdict"}
    assert not [name for name, script in SCRIPTS.items() if "${{" in script]


def test_what_cannot_be_measured_has_its_exit_code_and_no_verdict(measure, tmp_path):
    stale = tmp_path / "gonogo-report"
    stale.mkdir()
    (stale / "report.json").write_text('{"verdict": "GO"}')
    outputs, done = measure("$(touch hacked).py:here", OVERRIDES="lr=1e-3\nname=a b\n")
    assert outputs == {"exit-code": "2"}
    assert "there is no file" in done.stderr
    assert not (tmp_path / "hacked").exists()


@pytest.mark.slow
def test_a_measured_run_has_a_verdict_a_summary_and_annotations(measure, tmp_path):
    (tmp_path / "mine.yaml").write_text("select: [model.initial-loss]\nrequired: [data.split-overlap]\n")
    outputs, done = measure("gonogo.testing.toys:classifier", PROFILE="mine.yaml", TO="tensorboard")
    assert outputs == {"exit-code": "4", "verdict": "HOLD"}
    assert (tmp_path / "GITHUB_STEP_SUMMARY").read_text() == (tmp_path / "gonogo-report" / "report.md").read_text()
    assert "\n::error title=data.split-overlap" in done.stdout
    assert (tmp_path / ".gonogo" / "tensorboard").is_dir()


def test_the_static_profile_reads_and_computes_nothing():
    plan = make_plan(load_index(), load_profile("static"), tuple(Capability))
    assert len(plan.runnable) >= 15
    assert {step.check.effort for step in plan.runnable} == {Effort.READ}
    assert {need for step in plan.runnable for need in step.check.needs} <= {Capability.CONFIG}


def test_pre_commit_accepts_the_hook_and_the_hook_names_the_static_profile():
    manifest = ROOT / ".pre-commit-hooks.yaml"
    command = [sys.executable, "-m", "pre_commit", "validate-manifest", str(manifest)]
    assert subprocess.run(command, check=False).returncode == 0
    (hook,) = yaml.safe_load(manifest.read_text())
    assert hook["entry"] == "gonogo run --profile static"
