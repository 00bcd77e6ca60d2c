import json
import subprocess
import sys

import pytest

STUDY = """
import random
from gonogo.study.design import Metric, Study, Trial

def variant(level):
    def train(seed):
        draw = random.Random(f"{seed} {level}")
        right = tuple(float(draw.random() < level) for _ in range(300))
        return Trial(metrics={"accuracy": sum(right) / 300}, samples={"accuracy": right})
    return train

def diverged(seed):
    raise ValueError("diverged")

def build(level=0.9, fails=False):
    variants = {"ours": variant(level), "weak": variant(0.6)}
    if fails:
        variants["broken"] = diverged
    return Study("drawn", variants, "ours", (Metric("accuracy"),), seeds=(0, 1))

study = build()
number = 3
"""


@pytest.fixture
def study(tmp_path):
    (tmp_path / "mine.py").write_text(STUDY)

    def run(*arguments):
        command = [sys.executable, "-m", "gonogo", "study", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    return run


@pytest.mark.requirement("MAFT-6.2")
def test_a_study_prints_its_table_and_writes_four_files(study, tmp_path):
    done = study("mine.py", "--out", "found", "--jobs", "0")
    assert done.returncode == 0, done.stderr
    assert "ours is ahead of 1 of 1 variants beyond noise in accuracy" in done.stdout
    assert "4 of 4" in done.stdout
    assert {path.name for path in (tmp_path / "found").glob("*.*")} >= {
        "report.html",
        "report.json",
        "report.md",
        "table.csv",
    }
    facts = json.loads((tmp_path / "found" / "report.json").read_text())["facts"]
    assert facts["command"] == "gonogo study mine.py --out found --jobs 0"
    assert facts["gonogo"]


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--strict",), 1)])
def test_flags_change_the_exit_code_only_when_asked(study, arguments, code):
    done = study("mine.py:build", "level=0.1", "--jobs", "0", *arguments)
    assert done.returncode == code, done.stderr
    assert "ours is behind weak" in done.stdout


def test_a_training_that_broke_off_is_told_and_the_study_is_incomplete(study):
    done = study("mine.py:build", "fails=true", "--seeds", "1", "--jobs", "0")
    assert done.returncode == 4, done.stderr
    assert "broken, seed 0, did not reach its end: ValueError: diverged" in done.stdout


@pytest.mark.slow  # every process loads torch
def test_each_training_has_a_process_of_its_own(study, tmp_path):
    done = study("mine.py:build", "fails=true", "--seeds", "1", "--jobs", "3", "--out", "found")
    assert done.returncode == 4, done.stderr
    assert {path.name for path in (tmp_path / "found" / "logs").iterdir()} == {
        "ours-0.log",
        "weak-0.log",
        "broken-0.log",
    }


def test_a_study_is_continued_with_more_seeds(study):
    study("mine.py", "--out", "found", "--seeds", "1", "--jobs", "0")
    done = study("mine.py", "--out", "found", "--seeds", "2", "--resume", "--jobs", "0")
    assert done.returncode == 0, done.stderr
    assert "seed 1" in done.stdout
    assert "ours, seed 0" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mine.py:studi",), "Did you mean 'study'"),
        (("mine.py:number",), "expected a Study"),
        (("mine.py:build", "levle=1"), "Did you mean 'level'"),
        (("mine.py", "level=1"), "takes no 'level'"),
        (("maftt",), "Did you mean 'maft'"),
        (("mine.py", "--seeds", "0"), "--seeds"),
        (("mine.py", "--out", "none", "--resume"), "--resume: there is no"),
        (("maft", "model.num_heads=7"), "model.num_heads"),
    ],
)
def test_what_cannot_be_asked_is_told_in_words(study, arguments, message):
    done = study(*arguments)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert "Traceback" not in done.stderr
