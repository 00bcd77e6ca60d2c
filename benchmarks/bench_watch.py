"""What watching costs per step, on a causal transformer of ten million parameters and real text.

Blocks of ten steps alternate in one process: plain, watched, and with the watch that stays on (`gonogo.watch(...)`).
The taps are put in and out between them; within a block nothing differs but them. Neighbours on the machine only ever
add time, so the CPU time of a quiet step is compared: the first quintile, of the steps that are looked at and of the
others apart, which count as one in ten and nine in ten. Where memory comes to lie differs from process to process, so
several are asked; their median is the result, their range its uncertainty. Writes benchmarks/results/watch.json.
The first steps of a watch, each looked at, are not in it.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import torch
import transformer

from gonogo.watch.inside import Watch
from gonogo.watch.live import loop as plain

RESULT = Path(__file__).parent / "results" / "watch.json"
LOOKS = 10  # steps between two looks of both, and of a block
ORDERS = tuple(itertools.permutations(("plain", "watched", "streaming")))  # none of them is favoured


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--one", action="store_true", help="measure in this process and print")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.rounds)))
        return
    command = [sys.executable, __file__, "--one", "--rounds", str(given.rounds)]
    each = []
    for _ in range(given.processes):
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        each.append(json.loads(ran.stdout.splitlines()[-1]))
        print(each[-1], flush=True)
    ratios = {name: sorted(one[name] / one["plain"] for one in each) for name in ("watched", "streaming")}
    found = {
        "overhead_ratio": round(statistics.median(ratios["watched"]), 4),
        "streaming_ratio": round(statistics.median(ratios["streaming"]), 4),
        "ratios_by_process": {name: [round(one, 4) for one in values] for name, values in ratios.items()},
        "cpu_seconds_per_step": round(statistics.median(one["plain"] for one in each), 4),
        "parameters": sum(p.numel() for p in transformer.Model().parameters()),
        "processes": given.processes,
        "rounds": given.rounds,
        "steps_per_block": LOOKS,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


def measure(rounds: int) -> dict[str, float]:
    """CPU seconds of a quiet step, by manner."""
    torch.manual_seed(0)
    step, model, optimizer = make_step()
    for _ in range(3):
        step()
    watches = {"watched": Watch(LOOKS), "streaming": Streaming(model, optimizer)}
    with watches["watched"]:  # the looks at the first steps lie behind us
        for _ in range(6):
            step()
    times: dict[str, list[tuple[float, bool]]] = {"plain": [], "watched": [], "streaming": []}
    for number in range(rounds):
        for name in ORDERS[number % len(ORDERS)]:
            times[name] += block(step, watches.get(name))
    return {name: typical(steps) for name, steps in times.items()}


class Streaming:
    """`with gonogo.watch(model, optimizer):` that can be put in and taken out between blocks."""

    def __init__(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.given, self.folder = (model, optimizer), tempfile.mkdtemp()

    def go_on(self) -> None:
        self.watch = plain.Watch(*self.given, folder=self.folder).__enter__()
        self.watch.live.start -= 10  # the first ten steps lie behind us

    def pause(self) -> None:
        self.watch.__exit__(None, None, None)


def make_step():
    """One step of a training loop as people write it, its model and its optimizer."""
    loader = torch.utils.data.DataLoader(transformer.Text("train"), batch_size=8, shuffle=True, drop_last=True)
    model = transformer.Model().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    batches = iter(())

    def step():
        nonlocal batches
        batch = next(batches, None)
        if batch is None:
            batches = iter(loader)
            batch = next(batches)
        optimizer.zero_grad()
        loss = transformer.loss(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step, model, optimizer


def typical(steps: list[tuple[float, bool]]) -> float:
    """CPU seconds of a quiet step, one in ten of which is looked at."""
    looked, others = (sorted(cpu for cpu, look in steps if look is kind) for kind in (True, False))
    rest = others[len(others) // 5]
    return ((looked[len(looked) // 5] if looked else rest) + (LOOKS - 1) * rest) / LOOKS


def block(step, watch: Watch | Streaming | None) -> list[tuple[float, bool]]:
    """(CPU seconds, was it looked at) of each of ten steps."""
    if watch is not None:
        watch.go_on()
    found = []
    for number in range(LOOKS):
        # The watch of a script looks at another step of each ten, the one that streams at the last.
        look = watch._tracer.sampled if isinstance(watch, Watch) else watch is not None and number == LOOKS - 1
        started = time.process_time()
        step()
        found.append((time.process_time() - started, look))
    if watch is not None:
        watch.pause()
    return found


if __name__ == "__main__":
    main()
