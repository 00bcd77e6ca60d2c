"""Broken training loops under watch, in this process: each is a NO-GO with its fault named; clean ones are a GO."""

import contextlib
import importlib.util
import io
import sys
import warnings
from pathlib import Path

import pytest

from gonogo.core.criterion import Status
from gonogo.core.report import Decision
from gonogo.execution.inline import run
from gonogo.training.subject import Subject
from gonogo.watch.inside import Watch

WATCHED = Path(__file__).parents[2] / "benchmarks" / "watch"
SLOW = {"compiled", "two_optimizers", "early_exit", "averaged_weights"}


def _faults():
    spec = importlib.util.spec_from_file_location("watch_faults", WATCHED / "faults.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["watch_faults"] = module
    spec.loader.exec_module(module)
    return module.FAULTS


FAULTS = _faults()
CLEAN = sorted((WATCHED / "clean").glob("*.py"))
QUICK = ("zero_grad_missing", "clip_after_step", "model_built_anew", "softmax_in_the_model", "eval_missing")


def report_on(text: str, name: str, *arguments: str):
    """The report on a script that runs here, under watch."""
    before = sys.argv
    sys.argv = [name, *arguments]
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            watch = Watch()
            with contextlib.suppress(Exception, SystemExit), watch:
                exec(compile(text, name, "exec"), {"__name__": "__main__", "__file__": name})
    finally:
        sys.argv = before
    return run(Subject(name=name, recording=watch.recording), "watch", device="cpu", among="watch.")


def _param(fault):
    return pytest.param(fault, id=fault.name, marks=() if fault.name in QUICK else pytest.mark.slow)


@pytest.mark.parametrize("fault", [_param(fault) for fault in FAULTS if not fault.warns])
def test_a_fault_is_a_no_go_and_named_first(fault, tmp_path):
    report = report_on(fault.broken(), "plain_train.py", "--epochs", "5", "--out", str(tmp_path / "w.pt"))
    assert report.verdict is Decision.NO_GO
    assert report.reasons[0].id == f"watch.{fault.check}", report.reasons[0].reason


@pytest.mark.parametrize("fault", [_param(fault) for fault in FAULTS if fault.warns])
def test_a_fault_that_cannot_be_known_for_sure_is_a_warning(fault, tmp_path):
    report = report_on(fault.broken(), "plain_train.py", "--epochs", "5", "--out", str(tmp_path / "w.pt"))
    assert report.verdict is Decision.GO
    assert f"watch.{fault.check}" in [result.id for result in report.results if result.status == Status.WARN]


@pytest.mark.parametrize("path", [pytest.param(p, id=p.stem, marks=pytest.mark.slow) for p in CLEAN])
def test_a_clean_script_is_a_go(path):
    report = report_on(path.read_text(encoding="utf-8"), str(path))
    assert report.verdict is Decision.GO, [reason.reason for reason in report.reasons]


def test_there_are_enough_faults_and_clean_scripts():
    assert len(FAULTS) >= 25
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert len(CLEAN) >= 9
