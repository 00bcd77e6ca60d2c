"""What a command started ends with it, and not before."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from gonogo.watch import guard, launch
from gonogo.watch.guard import Guard
from gonogo.watch.orders import Orders


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    for name in ("AFTER", "GRACE", "KILL"):
        monkeypatch.setattr(guard, name, 0.2)


@pytest.fixture
def run(tmp_path):
    """Run a shell script under guard; `$F` is the folder of the recordings."""

    def ended(script):
        started = time.monotonic()
        environment = Orders(tmp_path).environment()
        found = launch.run(["sh", "-c", f"F={tmp_path}; {script}"], Orders(tmp_path))
        assert not [one for one in guard.psutil.process_iter() if _environment(one) == environment[guard.FOLDER]]
        return found, time.monotonic() - started

    return ended


def _environment(process):
    try:
        return process.environ().get(guard.FOLDER)
    except (guard.psutil.Error, OSError):
        return None


def end(how):
    return f"""echo '{json.dumps({"kind": "end", "how": how})}'"""


def test_a_command_that_ends_is_waited_for_and_its_exit_code_told(run):
    assert run("exit 3")[0].code == 3


def test_what_follows_in_a_shell_script_after_the_training_was_ended_is_ended_too(run, tmp_path):
    found, seconds = run(f"{end('steps')} > $F/999999.jsonl; sleep 60; touch $F/deployed")
    assert seconds < 10
    assert not (tmp_path / "deployed").exists()
    assert found.code == -signal.SIGTERM
    assert not found.interrupted


def test_what_ignores_the_polite_signal_is_killed(run):
    assert run(f"trap '' TERM; {end('steps')} > $F/999999.jsonl; sleep 60; sleep 60")[0].code == -signal.SIGKILL


def test_a_training_in_the_background_is_waited_for(run, tmp_path):
    run(f"(sleep 0.7; {end('exit')} > $F/999999.jsonl) &")
    assert (tmp_path / "999999.jsonl").exists()


def test_what_a_script_leaves_behind_after_its_own_end_is_its_own_affair(tmp_path):
    found = launch.run(["sh", "-c", f"{end('exit')} > {tmp_path}/999999.jsonl; sleep 30 & exit 0"], Orders(tmp_path))
    left = [one for one in guard.psutil.process_iter() if _environment(one) == str(tmp_path)]
    for one in left:
        one.kill()
    assert (found.code, [one.name() for one in left]) == (0, ["sleep"])


def test_a_scheduler_s_signal_reaches_every_process_and_is_told(tmp_path):
    script = "trap 'echo told > $F/told; exit 7' TERM; touch $F/ready; while true; do sleep 0.05; done"
    process = subprocess.Popen(["sh", "-c", f"F={tmp_path}; {script}"])
    with Guard(process, tmp_path) as watch:
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        assert process.wait(5) == 7
    assert watch.interrupted
    assert (tmp_path / "told").exists()


def test_a_second_interrupt_does_not_wait_for_the_script(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "GRACE", 60.0)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with Guard(process, tmp_path) as watch:
        os.kill(os.getpid(), signal.SIGINT)
        watch.look()
        assert process.poll() is None
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        watch.look()
    assert process.returncode == -signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
