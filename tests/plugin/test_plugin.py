"""A real package with checks is installed beside gonogo, into a folder of its own and without network."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gonogo.core.catalogue import GROUP

ACME = Path(__file__).parent / "acme"
TOY = "gonogo.testing.toys:classifier"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of an installed acme-checks: what a wheel of it would unpack to."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ACME / "src", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    project = tomllib.loads((ACME / "pyproject.toml").read_text())["project"]
    info = folder / f"acme_checks-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = "".join(f"{name} = {value}\n" for name, value in project["entry-points"][GROUP].items())
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{points}")
    return folder


@pytest.fixture
def gonogo(installed, tmp_path):
    """gonogo("list", ...) -> the finished process, run where acme-checks is installed."""

    def call(*words, **files):
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        command = [sys.executable, "-m", "gonogo", *words]
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)

    return call


def test_the_list_shows_checks_of_plug_ins_and_why_one_cannot_be_loaded(gonogo):
    done = gonogo("list")
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "There are rows enough" in rows["acme/data.row-count"]
    assert "ERROR" in rows["acme-broken/"]
    assert "No module named 'a_library_that_nobody_has_installed'" in rows["acme-broken/"]
    assert "model.initial-loss" in rows
    assert done.returncode == 0


def test_a_check_of_a_plug_in_runs_and_its_result_is_judged(gonogo, tmp_path):
    mine = "required: [acme/data.row-count]\n"
    done = gonogo("run", TOY, "--only", "acme/", "--profile", "mine.yaml", "--out", "out", mine=mine)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    [result] = [result for result in report["results"] if result["id"] == "acme/data.row-count"]
    assert (result["status"], result["required"]) == ("PASS", True)
    assert result["observation"]["measurements"]["rows"]["value"] == 160
    assert (done.returncode, report["verdict"]) == (0, "GO")


def test_a_profile_that_wants_a_broken_plug_in_does_not_go(gonogo):
    mine = "select: [acme]\nrequired: []\n"
    done = gonogo("run", TOY, "--profile", "mine.yaml", mine=mine)
    assert "a_library_that_nobody_has_installed" in done.stdout
    assert done.returncode == 4


def test_limits_of_a_profile_reach_a_plug_in(gonogo):
    mine = "select: [acme/]\nrequired: []\nchecks: {acme/data.row-count: {limits: {rows: {fail: 1000}}}}\n"
    done = gonogo("run", TOY, "--profile", "mine.yaml", mine=mine)
    assert "There are too few rows" in done.stdout
    assert done.returncode == 1
