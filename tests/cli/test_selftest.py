import subprocess
import sys

TOY = "gonogo.testing.toys:classifier"


def selftest(*words):
    command = [sys.executable, "-m", "gonogo", "selftest", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_fire_drill_counts_the_faults_that_are_caught_in_the_users_run():
    done = selftest(TOY, "--only", "model.nonfinite-values")
    assert "3 of 3 planted faults would be caught" in done.stdout
    assert done.returncode == 0


def test_a_fault_that_does_not_fit_the_run_is_not_counted():
    done = selftest("gonogo.testing.toys:seq2seq", "--only", "data.missing-values")
    assert "cannot be injected" in done.stdout
    assert "0 of 0" in done.stdout
