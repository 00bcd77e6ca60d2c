import subprocess
import sys

import pytest
import torch

from gonogo.core.catalogue import discover
from gonogo.core.measurement import Evidence
from gonogo.execution.measure import Bench, describe
from gonogo.testing.toys import TOYS
from gonogo.training.session import Session

CHECKS = discover()


def measure(subject, check_id, **params):
    check = CHECKS[check_id]
    bound = check.bind(params, "here")
    return Bench(Session(subject)).measure(check, bound, 60.0)


def test_a_check_that_changes_the_session_is_an_error(monkeypatch):
    def damaging(session):
        with torch.no_grad():
            next(session.model.parameters()).add_(1)

    bench = Bench(Session(TOYS["classifier"]()))
    bench.measure(CHECKS["model.nonfinite-values"], {"batches": 1}, 60.0)
    monkeypatch.setattr("gonogo.execution.measure.catalogue.implementation", lambda check: damaging)
    outcome = bench.measure(CHECKS["model.nonfinite-values"], {}, 60.0)
    assert outcome.failure


def test_sys_exit_of_user_code_is_a_failure_in_words():
    with pytest.raises(SystemExit) as caught:
        sys.exit(3)
    assert "sys.exit(3)" in describe(caught.value).message


def test_results_of_a_stand_in_are_labelled_proxy():
    from dataclasses import replace

    outcome = measure(replace(TOYS["classifier"](), proxy="a larger model"), "model.nonfinite-values")
    assert outcome.evidence is Evidence.PROXY


def test_a_check_without_forward_pass_is_read_evidence():
    assert measure(TOYS["classifier"](), "model.parameter-count").evidence is Evidence.READ


def test_inline_run_gives_the_same_measurements_as_workers(tmp_path):
    code = """
import gonogo
from gonogo.core.profile import load_profile
from gonogo.testing.toys import TOYS
report = gonogo.run(TOYS["classifier"](), load_profile("standard"), device="cpu")
print(report.verdict)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == ["GO"]


def trained_only(loss):
    def refuse(model, batch):
        if not model.training:
            raise KeyError("losses are given in training only")
        return loss(model, batch)

    return refuse


def test_what_a_right_program_refuses_is_no_error():
    outcome = measure(TOYS["classifier"]().map_loss(trained_only), "loss.reduction")
    assert outcome.failure is None
    assert outcome.not_applicable.startswith("the program runs, but not under what this check does: KeyError")


def test_what_a_program_raises_by_itself_is_an_error():
    def broken(loss):
        def fail(model, batch):
            raise KeyError("labels")

        return fail

    outcome = measure(TOYS["classifier"]().map_loss(broken), "model.nonfinite-values")
    assert outcome.failure is not None


def test_looking_a_second_time_leaves_the_random_generator_alone():
    before = torch.get_rng_state()
    measure(TOYS["classifier"]().map_loss(trained_only), "loss.reduction")
    assert torch.equal(torch.get_rng_state(), before)
