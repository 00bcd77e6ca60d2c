import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOY = "gonogo.testing.toys:classifier"
QUICK = ("--only", "model.initial-loss", "--only", "model.nonfinite")
HOSTILE = Path(__file__).parent.parent / "execution" / "subjects.py"


@pytest.fixture
def gonogo(tmp_path):
    """Run the command line in an empty folder."""

    def call(*words, **environment):
        return subprocess.run(
            [sys.executable, "-m", "gonogo", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "CI": "true", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return call


@pytest.fixture
def required_little(tmp_path):
    path = tmp_path / "little.yaml"
    path.write_text("select: [model.initial-loss, model.nonfinite]\nrequired: [model.initial-loss]\n")
    return path


def test_run_leaves_every_report(gonogo, tmp_path, required_little):
    done = gonogo("run", TOY, "--profile", required_little, "--out", "out")
    assert done.returncode == 0, done.stderr
    names = {"report.json", "report.md", "report.html", "junit.xml", "journal.jsonl"}
    assert names <= {path.name for path in (tmp_path / "out").iterdir()}
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["verdict"] == "GO"
    assert {"id", "status", "reason", "evidence", "seconds"} <= report["results"][0].keys()


def test_the_default_folder_has_a_latest_link_and_ignores_itself(gonogo, tmp_path, required_little):
    gonogo("run", TOY, "--profile", required_little)
    assert (tmp_path / ".gonogo" / "runs" / "latest" / "report.json").is_file()
    assert (tmp_path / ".gonogo" / ".gitignore").read_text() == "*\n"


def test_a_partial_selection_holds_the_gate(gonogo):
    assert gonogo("run", TOY, *QUICK).returncode == 4


def test_nothing_selected_has_its_own_exit_code(gonogo):
    assert gonogo("run", TOY, "--skip", "").returncode == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "nothing.py:here"), "there is no file nothing.py"),
        (("run", TOY, "--profile", "standrad"), "Did you mean 'standard'"),
        (("run", TOY, "--only", "modle"), "nothing starts with 'modle'"),
        (("run", TOY, "oops"), "key=value was expected"),
        (("run", TOY, "--device", "cuda:99"), "not available here"),
        (("run", TOY, "--budget", "soon"), "a duration such as"),
        (("explain", "model.initial-los"), "Did you mean 'model.initial-loss'"),
        (("judge", "nowhere"), "there is no report"),
        (("report", "nowhere"), "there is no report"),
        (("nonsense",), "nonsense"),
        (("run",), "SUBJECT"),
        (("new", "check", "NoDots"), "an id such as"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(gonogo, words, said):
    done = gonogo(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_secret_in_an_error_is_not_printed(gonogo):
    done = gonogo("run", f"{HOSTILE}:raises")
    assert "no data here" in done.stderr
    assert "hunter2secret" not in done.stderr


def test_an_unwritable_folder_is_refused_before_anything_is_measured(gonogo, tmp_path):
    (tmp_path / "file").write_text("")
    done = gonogo("run", TOY, "--out", "file/below")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


def test_judge_uses_the_limits_of_another_profile(gonogo, tmp_path, required_little):
    gonogo("run", TOY, "--profile", required_little, "--out", "out")
    strict = tmp_path / "strict.yaml"
    limits = "checks: {model.initial-loss: {limits: {ratio_to_chance: {fail: [0, 0.01], warn: [0, 0.01]}}}}"
    strict.write_text(required_little.read_text() + limits)
    done = gonogo("judge", "out", "--profile", strict)
    assert done.returncode == 1
    assert "NO-GO" in done.stdout


@pytest.mark.parametrize("format", ["text", "markdown", "html", "junit", "json"])
def test_a_saved_report_can_be_written_in_every_format(gonogo, required_little, format):
    gonogo("run", TOY, "--profile", required_little, "--out", "out")
    assert gonogo("report", "out", "--format", format).stdout.strip()


def test_plan_shows_what_would_run_and_why_not(gonogo):
    done = gonogo("plan", "gonogo.testing.toys:regressor", "--only", "model")
    assert done.returncode == 0
    assert "model.initial-loss" in done.stdout


def test_a_new_check_from_the_template_can_be_imported(gonogo, tmp_path):
    assert gonogo("new", "check", "data.my-check").returncode == 0
    done = subprocess.run([sys.executable, "-c", "import data.my_check"], cwd=tmp_path, check=False)
    assert done.returncode == 0


def test_a_new_recipe_runs(gonogo):
    gonogo("new", "recipe", "mine")
    done = gonogo("run", "mine/subject.py:build", *QUICK)
    assert done.returncode == 4, done.stderr
    assert "proxy" in done.stdout.lower()


def test_a_killed_run_can_be_resumed(gonogo, tmp_path, required_little):
    run = ["run", f"{HOSTILE}:slow", "--profile", str(required_little), "--out", "out"]
    command = [sys.executable, "-m", "gonogo", *run]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = tmp_path / "out" / "journal.jsonl"
    while process.poll() is None and not (journal.is_file() and journal.read_text().count("\n") > 1):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = gonogo(*run, "--resume")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "report.json").read_text())["verdict"] == "GO"


def test_a_file_that_is_named_like_one_of_python_can_be_a_subject(tmp_path):
    (tmp_path / "random.py").write_text("from gonogo.testing.toys import TOYS\nsubject = TOYS['classifier']\n")
    command = [sys.executable, "-P", "-m", "gonogo", "plan", "random.py", *QUICK]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("reader", ["| head -1", ">&-"])
def test_a_reader_that_leaves_costs_neither_the_reports_nor_the_verdict(tmp_path, required_little, reader):
    run = f"{sys.executable} -m gonogo run {TOY} --profile {required_little} --out out"
    script = f"({run}; echo $? > code) {reader}"
    subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / "code").read_text().strip() == "0"
    assert (tmp_path / "out" / "report.html").is_file()
