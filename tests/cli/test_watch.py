"""Scripts under `gonogo watch`: however they behave, what was seen is judged, and the rest is said."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LOOP = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(64, 4), torch.randint(3, (64,))
def step():
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
"""


@dataclass(frozen=True)
class Watched:
    """What came of `gonogo watch`."""

    code: int
    out: str
    err: str
    report: dict[str, Any]

    @property
    def notes(self) -> str:
        return " ".join(self.report.get("notes", ()))


@pytest.fixture
def watch(tmp_path: Path):
    """Run a script under watch; `words` is the command, if it is not `python train.py`."""

    def run(script: str, *options: str, words=("python", "train.py"), loop=True, **environment: str) -> Watched:
        (tmp_path / "train.py").write_text((LOOP if loop else "") + script, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "gonogo", "watch", "--out", "out", *options, "--", *words],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
            input="typed\n",
        )
        file = tmp_path / "out" / "report.json"
        report = json.loads(file.read_text()) if file.is_file() else {}
        return Watched(done.returncode, done.stdout, done.stderr, report)

    return run


ENDLESS = "while True:\n    step()\n"


def test_an_endless_script_is_ended_after_the_steps_and_its_output_stays_its_own(watch):
    seen = watch("print('mine')\n" + ENDLESS, "--steps", "12")
    assert (seen.code, seen.report["verdict"]) == (0, "GO"), seen.notes + seen.err
    assert seen.out.startswith("mine\n")
    assert "12 optimizer steps" in seen.notes
    assert seen.err == ""


@pytest.mark.slow
def test_an_error_of_the_script_is_shown_as_its_own(watch):
    seen = watch("for _ in range(12): step()\nraise KeyError('no such column')\n")
    assert "KeyError: 'no such column'" in seen.err
    assert "the script failed by itself: KeyError: 'no such column' (train.py:" in seen.notes
    assert seen.report["verdict"] == "NO-GO"


def test_a_script_that_fails_before_it_trains_is_held_for_this_one_reason(watch):
    seen = watch("import no_such_package", loop=False)
    assert (seen.code, seen.report["verdict"]) == (4, "HOLD"), seen.notes
    assert [reason["id"] for reason in seen.report["reasons"]] == ["watch.seen"]
    assert "the command ended with exit code 1" in seen.out


@pytest.mark.slow
def test_a_script_that_trains_nothing_is_held(watch):
    seen = watch("with torch.no_grad():\n    model(x)\n")
    assert (seen.code, seen.report["verdict"]) == (4, "HOLD")
    assert "1 forward pass," in seen.notes
    assert "no optimizer step was seen" in seen.out


@pytest.mark.slow
def test_a_script_without_torch_is_held(watch):
    seen = watch("print('hello')", loop=False)
    assert (seen.code, seen.report["verdict"]) == (4, "HOLD")


@pytest.mark.slow
@pytest.mark.parametrize(
    "ending",
    [
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "import os; os.kill(os.getpid(), 15)",
    ],
)
def test_an_end_without_an_error_and_at_somebodys_wish_is_no_evidence(watch, ending):
    seen = watch(f"import time\nfor _ in range(12): step()\ntime.sleep(0.6)\nstep()\n{ending}\n")
    assert seen.report["verdict"] == "GO", seen.notes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("import sys; sys.exit('loss is nan')", "ended with exit code 1"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
        ("import sys; sys.excepthook = lambda *_: None; raise KeyError('hidden')", "KeyError: 'hidden'"),
    ],
    ids=["exit code", "crash", "hook of its own"],
)
def test_a_script_that_fails_without_an_exception_that_is_shown_is_not_ready(watch, ending, words):
    seen = watch(f"import time\nfor _ in range(12): step()\ntime.sleep(0.6)\nstep()\n{ending}\n")
    assert seen.report["verdict"] == "NO-GO", seen.notes
    assert words in seen.out


@pytest.mark.slow
@pytest.mark.parametrize("caught", ["Exception", "BaseException"])
def test_a_script_that_catches_everything_is_ended_all_the_same(watch, caught):
    seen = watch(
        f"while True:\n    try:\n        step()\n    except {caught}:\n        print('caught')\n", "--steps", "12"
    )
    assert seen.report["verdict"] == "GO"
    assert seen.out.count("caught") == (3 if caught == "BaseException" else 0)


@pytest.mark.slow
def test_arguments_input_folder_and_main_stay_those_of_the_script(watch):
    seen = watch(
        "import sys, os, argparse\n"
        "parser = argparse.ArgumentParser(); parser.add_argument('--lr', type=float)\n"
        "print(parser.parse_args().lr, input(), __name__, os.path.basename(__file__), sys.path[0] == os.getcwd())\n"
        "for _ in range(12): step()\n",
        words=("python", "train.py", "--lr", "0.5"),
    )
    assert seen.out.startswith("0.5 typed __main__ train.py True\n"), seen.out + seen.err
    assert seen.code == 0


@pytest.mark.slow
def test_the_users_own_sitecustomize_is_still_loaded(watch, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("import builtins; builtins.OWN = 'here'")
    seen = watch("print(OWN)\nfor _ in range(12): step()\n", PYTHONPATH=str(tmp_path / "own"))
    assert seen.out.startswith("here\n"), seen.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("python", "-m", "train"),
        ("torchrun", "--standalone", "--nproc-per-node", "2", "train.py"),
        ("accelerate", "launch", "--cpu", "--num_processes", "1", "train.py"),
        ("sh", "-c", "python3 train.py || exec python train.py"),
    ],
    ids=lambda words: words[0] + words[1],
)
def test_launchers_are_followed(watch, words, tmp_path):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    seen = watch(ENDLESS, "--steps", "12", words=words, PATH=path)
    assert seen.report["verdict"] == "GO", seen.notes + seen.err[-2000:]
    assert "12 optimizer steps" in seen.notes


@pytest.mark.slow
def test_what_would_come_after_the_training_does_not_happen(watch):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    seen = watch(ENDLESS, "--steps", "12", words=("sh", "-c", "python train.py; sleep 20; echo deployed"), PATH=path)
    assert seen.report["verdict"] == "GO", seen.notes
    assert "deployed" not in seen.out.splitlines()


@pytest.mark.slow
def test_a_training_in_a_forked_child_is_seen(watch):
    seen = watch(
        "import multiprocessing\n"
        "def train():\n"
        "    torch.set_num_threads(1)\n"
        "    while True: step()\n"
        "child = multiprocessing.get_context('fork').Process(target=train)\n"
        "child.start(); child.join(); print('joined', child.exitcode)\n",
        "--steps",
        "12",
    )
    assert seen.report["verdict"] == "GO", seen.notes
    assert "12 optimizer steps" in seen.notes
    assert "joined 0" in seen.out


@pytest.mark.slow
def test_the_rank_that_failed_is_named_and_not_those_that_it_took_along(watch):
    seen = watch(
        "import os\n"
        "torch.distributed.init_process_group('gloo')\n"
        "model = nn.parallel.DistributedDataParallel(model)\n"
        "for _ in range(12): step()\n"
        "if os.environ['RANK'] == '1': raise ZeroDivisionError('of rank 1')\n"
        "while True: step()\n",
        words=("torchrun", "--standalone", "--nproc-per-node", "2", "train.py"),
    )
    assert "the script failed by itself: ZeroDivisionError: of rank 1 (train.py:" in seen.notes


@pytest.mark.slow
def test_ranks_whose_clocks_differ_are_ended_without_an_error(watch):
    seen = watch(
        "import os, time\n"
        "torch.distributed.init_process_group('gloo')\n"
        "model = nn.parallel.DistributedDataParallel(model)\n"
        "step()\n"
        "if os.environ['RANK'] == '1': time.sleep(0.2)\n"
        "while True:\n    step()\n    time.sleep(0.05)\n",
        words=("torchrun", "--standalone", "--nproc-per-node", "2", "train.py"),
    )
    assert seen.report["verdict"] == "GO", seen.notes
    assert "Traceback" not in seen.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flag", "words"), [("-I", "no Python process was heard of"), ("-u", "torch was not imported")]
)
def test_a_training_that_nobody_heard_of_is_held_with_the_reason(watch, flag, words):
    seen = watch("print('hello')", words=("python", flag, "train.py"), loop=False)
    assert (seen.code, seen.report["verdict"]) == (4, "HOLD")
    assert words in seen.out


@pytest.mark.slow
def test_workers_of_a_loader_end_without_a_word(watch):
    seen = watch(
        "from torch.utils.data import DataLoader, TensorDataset\n"
        "for _ in range(1000):\n"
        "    for a, b in DataLoader(TensorDataset(x, y), 4, shuffle=True, num_workers=2):\n"
        "        optimizer.zero_grad()\n"
        "        nn.functional.cross_entropy(model(a), b).backward()\n"
        "        optimizer.step()\n",
        "--steps",
        "20",
    )
    assert (seen.report["verdict"], seen.err) == ("GO", ""), seen.notes


@pytest.mark.parametrize("option", [("-p", "standard"), ("--skip", "data"), ("--only", "model")])
def test_checks_of_another_kind_are_refused_before_the_script_runs(option, tmp_path):
    command = [sys.executable, "-m", "gonogo", "watch", *option, "--", "no_such_script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "expected watch.* alone" in done.stderr


def test_a_command_that_is_not_there_is_told_in_words(watch):
    assert watch("", words=("pyhton", "train.py")).err.strip().endswith("Did you mean 'python'?")
    assert "there is no script 'tarin.py'. Did you mean 'train.py'?" in watch("", words=("tarin.py",)).err
