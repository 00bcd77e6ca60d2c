"""What watching costs per step, on a causal transformer of ten million parameters and real text.

Blocks of ten steps alternate in one process: plain, watched, and with the watch that stays on (`gonogo.watch(...)`).
The taps are put in and out between them; within a block nothing differs but them. Medians of CPU time are taken over
rounds, of the steps that are looked at and of the others apart, and count as one in ten and nine in ten: a pause of
the machine in some of the rounds counts for nothing. Quartiles are those of whole blocks: the machine's spread.
Writes benchmarks/results/watch.json. The first steps of a watch, each looked at, are not in it.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
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
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    torch.manual_seed(0)
    step, model, optimizer = make_step()
    for _ in range(3):
        step()
    watches = {"watched": Watch(LOOKS), "streaming": Streaming(model, optimizer)}
    with watches["watched"]:  # the looks at the first steps lie behind us
        for _ in range(6):
            step()
    times: dict[str, list[list[tuple[float, bool]]]] = {"plain": [], "watched": [], "streaming": []}  # rounds of steps
    for number in range(given.rounds):
        for name in ORDERS[number % len(ORDERS)]:
            times[name].append(block(step, watches.get(name)))
    usual = {name: typical(itertools.chain.from_iterable(rows)) for name, rows in times.items()}
    whole = {name: [sum(cpu for cpu, _ in steps) for steps in rows] for name, rows in times.items()}
    blocks = {name: [a / b for a, b in zip(whole[name], whole["plain"], strict=True)] for name in watches}
    found = {
        "overhead_ratio": round(usual["watched"] / usual["plain"], 4),
        "streaming_ratio": round(usual["streaming"] / usual["plain"], 4),
        "quartiles_of_blocks": {
            name: [round(q, 4) for q in statistics.quantiles(values)] for name, values in blocks.items()
        },
        "cpu_seconds_per_step": round(usual["plain"], 4),
        "parameters": sum(p.numel() for p in transformer.Model().parameters()),
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


def typical(steps) -> float:
    """CPU seconds of a step, one in ten of which is looked at."""
    looked, others = ([cpu for cpu, look in rows if look is kind] for rows in [list(steps)] for kind in (True, False))
    rest = statistics.median(others)
    return ((statistics.median(looked) if looked else rest) + (LOOKS - 1) * rest) / LOOKS


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
