"""What gonogo costs beyond the training steps that it takes, on examples/digits.py.

Prints the ratio of a whole `gonogo run` to the forward-backward passes that it contains, the supervisor's
overhead per check, and the time to load. Run it on an idle machine: `make bench`.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

import gonogo
from gonogo.adapters.locate import locate
from gonogo.training.loop import textbook_step
from gonogo.training.subject import Subject

ROOT = Path(__file__).parent.parent
RUN = "examples/digits.py:subject"
REPEATS = 3


def whole_run() -> tuple[float, dict]:
    """Wall time of one run of the command line, seconds, and its report."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "gonogo", "run", RUN, "--out", folder], cwd=ROOT, capture_output=True)
        return time.perf_counter() - started, json.loads((Path(folder) / "report.json").read_text())


def passes(subject: Subject) -> int:
    """How many times a run evaluates the loss."""
    calls = []

    def counted(model, batch):
        calls.append(1)
        return subject.loss(model, batch)

    gonogo.run(replace(subject, loss=counted), device="cpu")
    return len(calls)


def plain_steps(subject: Subject, count: int) -> float:
    """Wall time of as many plain training steps, seconds."""
    model = subject.model()
    optimizer = subject.optimizer(model)
    batch = next(iter(subject.splits["train"].batches()))
    started = time.perf_counter()
    for _ in range(count):
        textbook_step(subject.loss, model, optimizer, batch)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    subject = locate(RUN, {})
    count = passes(subject)
    runs = [whole_run() for _ in range(REPEATS)]
    plain = statistics.median(plain_steps(subject, count) for _ in range(REPEATS))
    wall = statistics.median(seconds for seconds, _ in runs)
    report = runs[0][1]
    ran = [result for result in report["results"] if result["seconds"]]
    inside = statistics.median(sum(result["seconds"] for result in report["results"]) for _, report in runs)
    between = statistics.median(report["seconds"] for _, report in runs) - inside
    shown = f"median of {REPEATS}, {len(ran)} checks, verdict {report['verdict']}"
    print(f"whole run                    {wall:.2f} s ({shown})")
    print(f"plain training steps         {plain:.2f} s for the same {count} forward-backward passes")
    print(f"ratio                        {wall / plain:.2f}")
    print(f"inside checks                {inside:.2f} s")
    print(f"load, judge, report          {between:.2f} s, of which most is importing torch")


if __name__ == "__main__":
    main()
