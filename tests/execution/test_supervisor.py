import json
import subprocess
import sys

import pytest

from gonogo.core.criterion import Status
from gonogo.core.plan import Skip
from gonogo.core.report import Decision
from gonogo.errors import ProfileError, SubjectError


def statuses(report):
    return {result.id: result.status for result in report.results if result.skip is not Skip.DESELECTED}


def test_a_healthy_toy_is_go(run):
    report = run("healthy")
    assert report.verdict is Decision.GO
    assert set(statuses(report).values()) == {Status.PASS}


def test_a_process_that_ends_itself_costs_one_check_alone(run):
    report = run("exits")
    found = statuses(report)
    assert sorted(found.values()) == [Status.PASS, Status.PASS, Status.PASS, Status.ERROR]
    [error] = [result for result in report.results if result.status is Status.ERROR]
    assert "exit code 0" in error.reason
    assert report.verdict is Decision.HOLD


def test_a_hang_is_stopped_at_the_time_limit_and_located(run, monkeypatch):
    monkeypatch.setattr("gonogo.execution.supervisor.GRACE", 0.2)
    report = run("hangs", time_limit="{read: 8, step: 8, fit: 8}")
    [error] = [result for result in report.results if result.status is Status.ERROR]
    assert "limit of 8 s" in error.reason
    assert "subjects.py" in error.reason
    assert list(statuses(report).values()).count(Status.PASS) == 3


def test_a_budget_that_is_spent_skips_the_rest(run):
    report = run("slow", budget="1 s", select="[evaluation.repeat, reproducibility.seed-repeat]")
    assert Skip.OVER_BUDGET in {result.skip for result in report.results}
    assert report.verdict is Decision.HOLD


def test_the_memory_limit_ends_the_worker_with_the_figure(run):
    with pytest.raises(SubjectError, match="over its limit of 50 MB"):
        run("healthy", memory_limit="50 MB")


def test_an_interrupt_keeps_what_was_measured(run):
    def stop(step, result):
        if result is None and step.check.id == "model.batch-mixing":
            raise KeyboardInterrupt

    report = run("healthy", listen=stop)
    assert Status.PASS in statuses(report).values()
    assert Skip.INTERRUPTED in {result.skip for result in report.results}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("returns_none", "None: is a `return` missing"),
        ("raises", "ValueError: no data here"),
        ("healhty", "Did you mean 'healthy'"),
        ("not_a_subject", "expected a Subject, or a function"),
    ],
)
def test_an_unusable_subject_is_refused_in_words(run, name, words):
    with pytest.raises(SubjectError, match=words):
        run(name)


def test_a_factory_that_returns_the_same_model_twice_is_an_error_of_the_checks(run):
    report = run("twice", select="[learning.one-batch-fit, model.unused-parameters]")
    [error] = [result for result in report.results if result.status is Status.ERROR]
    assert "same object twice" in error.reason


def test_resume_repeats_no_finished_check_and_gives_the_same_results(run, tmp_path):
    whole = run("healthy")
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_text().splitlines()
    kept = [*lines[:3], lines[3][: len(lines[3]) // 2]]  # torn in the middle of a line, as kill -9 does
    journal.write_text("\n".join(kept))
    done = [json.loads(line)["result"]["id"] for line in lines[1:3]]
    started = []

    def note(step, result):
        if result is None:
            started.append(step.check.id)

    resumed = run("healthy", resume=True, listen=note)
    assert not set(started) & set(done)
    assert [(r.id, r.status, r.observation) for r in resumed.results] == [
        (r.id, r.status, r.observation) for r in whole.results
    ]


def test_resume_of_another_run_is_refused(run):
    run("healthy")
    with pytest.raises(ProfileError, match="belongs to another run"):
        run("slow", resume=True)


def test_resume_without_a_journal_is_refused(run):
    with pytest.raises(ProfileError, match="there is no"):
        run("healthy", resume=True)


def test_the_supervisor_never_imports_torch():
    code = "import sys, gonogo.cli.run; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_child_process_that_returns_into_the_worker_does_not_answer_for_it(run):
    assert run("forks", select="[model.initial-loss]").verdict is Decision.GO


def test_an_interrupt_that_user_code_raises_costs_one_check_and_is_named(run):
    report = run("interrupts", select="[model.initial-loss, evaluation]", required="[model.initial-loss]")
    errors = [result.reason for result in report.results if result.status is Status.ERROR]
    assert errors
    assert all("KeyboardInterrupt (subjects.py" in reason for reason in errors)


def test_a_worker_that_dies_while_loading_leaves_its_last_words(run):
    with pytest.raises(SubjectError, match=r"exit code 1 .*: ImportError: libnothing\.so$"):
        run("misimports")
