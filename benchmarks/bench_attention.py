"""What it costs to watch a training step: capture of attention and of gradient norms, against the plain step.

The model is that of transformer.py, ten million parameters on real text. Plain and watched steps take turns in one
process on one model, so that the load of the machine falls on both. Writes results/attention.json and prints it; run
it on an idle machine: `python benchmarks/bench_attention.py`.
"""

import json
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from transformer import subject

from gonogo.instruments.attention.capture import Captured, capturing
from gonogo.instruments.step.training_steps import gradient_norm
from gonogo.training.loop import textbook_step
from gonogo.training.subject import Subject

RESULTS = Path(__file__).parent / "results" / "attention.json"
PAIRS, WARM, LIMIT = 60, 3, 0.10
CALLS = 8  # of attention, one for each layer


@contextmanager
def norms(model: nn.Module, optimizer: Optimizer) -> Iterator[dict[str, float | None]]:
    """The norm of every gradient at the optimizer's step."""
    found: dict[str, float | None] = {}

    def look(*_: Any) -> None:
        found.update((name, gradient_norm(parameter)) for name, parameter in model.named_parameters())

    handle = optimizer.register_step_pre_hook(look)
    try:
        yield found
    finally:
        handle.remove()


def watched(run: Subject, model: nn.Module, optimizer: Optimizer, batch: Any) -> None:
    """One step with both instruments: attention is captured in its forward, gradients are read at its end."""
    seen: list[Captured] = []

    def loss(model: nn.Module, batch: Any) -> Any:
        with capturing(model) as captured:
            seen.append(captured)
            return run.loss(model, batch)  # type: ignore[misc]

    with norms(model, optimizer) as found:
        textbook_step(loss, model, optimizer, batch)
    assert len(seen[0].maps) == CALLS
    assert not seen[0].unseen
    assert len(found) == sum(1 for _ in model.parameters())


def timed(call: Callable[[], Any]) -> float:
    """CPU seconds of this process for one call: other processes on the machine do not count."""
    started = time.process_time()
    call()
    return time.process_time() - started


def measure() -> list[tuple[float, float]]:
    """CPU seconds of (plain, watched) steps; which of a pair comes first is drawn."""
    torch.manual_seed(0)
    run, draw = subject(), random.Random(0)
    model = run.model()
    optimizer = run.optimizer(model)
    [batch, *_] = run.splits["train"].batches()

    kinds = {
        "plain": lambda: textbook_step(run.loss, model, optimizer, batch),
        "watched": lambda: watched(run, model, optimizer, batch),
    }
    found = []
    for _ in range(WARM + PAIRS):
        order = draw.sample(sorted(kinds), 2)
        seconds = {kind: timed(kinds[kind]) for kind in order}
        found.append((seconds["plain"], seconds["watched"]))
    return found[WARM:]


def main() -> int:
    """Measure, write, print; 1 if it costs more than a tenth of a step. On a loaded machine nothing is decided."""
    torch.set_num_threads(1)
    seconds = measure()
    costs = sorted(more / plain - 1 for plain, more in seconds)
    quartiles = [costs[len(costs) // 4], costs[3 * len(costs) // 4]]
    usual, dearer = (statistics.median(kind) for kind in zip(*seconds, strict=True))
    plain, more = (min(kind) for kind in zip(*seconds, strict=True))
    result = {
        "command": "python benchmarks/bench_attention.py",
        "what": f"{PAIRS} pairs of a plain and a watched training step of benchmarks/transformer.py, in drawn order, "
        "one thread, CPU time of the process; the cost is that of the median step against the median plain step",
        "model": {"parameters": sum(p.numel() for p in subject().model().parameters()), "attention_calls": CALLS},
        "cost": dearer / usual - 1,
        "quartiles_of_pairs": quartiles,
        "fastest_plain_seconds": plain,
        "fastest_watched_seconds": more,
        "cost_of_fastest": more / plain - 1,
        "decided": (dearer / usual - 1 > LIMIT) == (more / plain - 1 > LIMIT),
        "limit": LIMIT,
        "load": Path("/proc/loadavg").read_text().split()[0] if Path("/proc/loadavg").exists() else "",
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return int(result["decided"] and result["cost"] > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
