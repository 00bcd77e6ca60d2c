"""Which command is started for the words that a user gives, and which recording is judged."""

import json
import sys

import pytest

from gonogo.errors import SubjectError
from gonogo.training import recording
from gonogo.watch import launch
from gonogo.watch.orders import Orders


@pytest.mark.parametrize(
    ("words", "started"),
    [
        (["python", "train.py", "--lr", "1"], ["train.py", "--lr", "1"]),
        (["python3", "-m", "pkg"], ["-m", "pkg"]),
        (["torchrun", "train.py"], ["-m", "torch.distributed.run", "train.py"]),
        (["accelerate", "launch", "t.py"], ["-m", "accelerate.commands.accelerate_cli", "launch", "t.py"]),
    ],
)
def test_python_and_launchers_are_those_of_this_interpreter(words, started):
    assert launch.command(words) == [sys.executable, *started]


def test_a_script_alone_is_run_by_this_interpreter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").touch()
    assert launch.command(["train.py"]) == [sys.executable, "train.py"]
    with pytest.raises(SubjectError, match=r"Did you mean 'train\.py'"):
        launch.command(["tarin.py"])


def test_another_command_stays_as_it_is():
    assert launch.command(["sh", "-c", "true"]) == ["sh", "-c", "true"]
    with pytest.raises(SubjectError, match="write it behind --"):
        launch.command([])
    with pytest.raises(SubjectError, match="without quotes"):
        launch.command(["sh -c true"])


def test_orders_survive_the_environment(tmp_path):
    orders = Orders(tmp_path, 7, 0.5)
    assert Orders.of_environment(orders.environment()) == orders
    assert Orders.of_environment({}) is None


def test_the_first_rank_that_trained_is_judged_and_a_torn_line_is_left_out(tmp_path):
    def write(name, rank, steps):
        lines = [json.dumps({"kind": "begin", "rank": rank}), *[json.dumps({"kind": "step", "rank": rank})] * steps]
        (tmp_path / f"{name}.jsonl").write_text("\n".join([*lines, '{"kind": "ste']))

    write("launcher", 0, 0)
    write("second", 1, 9)
    write("first", 0, 8)
    assert [event["rank"] for event in recording.chosen(tmp_path).of("step")] == [0] * 8
    assert recording.chosen(tmp_path / "none").events == ()


@pytest.mark.parametrize(
    ("ended", "failed", "words"),
    [
        (launch.Ended(0), False, "exit code 0"),
        (launch.Ended(1), True, "exit code 1"),
        (launch.Ended(-11), True, "killed by SIGSEGV"),
        (launch.Ended(-9), True, "SIGKILL (out of memory?)"),
        (launch.Ended(139), True, "exit code 139"),
        (launch.Ended(-40), True, "killed by signal 40"),
        (launch.Ended(-15), False, "killed by SIGTERM"),
        (launch.Ended(143), False, "exit code 143"),
        (launch.Ended(124), False, "exit code 124"),
        (launch.Ended(1, interrupted=True), False, "was interrupted"),
    ],
)
def test_what_nobody_asked_to_end_and_ended_otherwise_has_failed(ended, failed, words):
    assert ended.failed == failed
    assert words in ended.told
