"""Predicted against real peaks, other tools on the same steps, recorded traces, and the price of a 13 B trace.

`make bench-sizing` prints all of it and writes benchmarks/results/sizing.json and docs/benchmarks/sizing.md. The real
peaks are those of benchmarks/sizing/cases.py; the recorded traces lie beside the project where there are some.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "sizing"))

from cases import CASES, Case  # noqa: E402 - beside this file
from peers import PEERS, ask  # noqa: E402

from gonogo.sizing.card import fake_card  # noqa: E402
from gonogo.sizing.card.allocator import MIB  # noqa: E402
from gonogo.sizing.card.recorded import Replay, load, replay  # noqa: E402
from gonogo.sizing.card.step import Step, trace  # noqa: E402
from gonogo.sizing.programs import plans  # noqa: E402
from gonogo.sizing.strategies import named as strategies  # noqa: E402

RESULTS = HERE / "results" / "sizing.json"
DOCS = HERE.parent / "docs" / "benchmarks" / "sizing.md"
LARGE = HERE.parent / "examples" / "llm_13b.yaml"


def predicted(case: Case) -> tuple[float, float, float]:
    """Allocated and reserved peak in MiB, and CPU-seconds."""

    def build() -> Step:
        model, optimizer, batch = case.parts(fake_card.DEVICE)
        step = case.stepping(model, optimizer, batch, fake_card.DEVICE)
        return Step(model, [optimizer] if optimizer else [], batch, step)

    started = time.process_time()
    fit = trace(build).history.fit()
    return fit.allocated / MIB, fit.reserved / MIB, time.process_time() - started


def large() -> dict[str, float]:
    """CPU-seconds and peak resident bytes of tracing the 13 B step of one micro-batch: FSDP, checkpointing, AdamW."""
    started = time.process_time()
    program = strategies.apply(plans.read(LARGE).program, strategies.parse("bf16,checkpointing,fsdp,accumulate=1", 2))
    program.trace(steps=2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": time.process_time() - started, "bytes": peak}


def measure(folder: Path | None, with_peers: bool) -> dict[str, Any]:
    """All of it, printed as it comes."""
    rows = []
    for case in CASES:
        allocated, reserved, seconds = predicted(case)
        row: dict[str, Any] = {"case": case.name, "allocated": case.allocated, "reserved": case.reserved}
        row |= {"predicted_allocated": allocated, "predicted_reserved": reserved, "seconds": seconds}
        row |= {"peers": {name: ask(name, case) for name in PEERS} if with_peers else {}}
        rows.append(row)
        print(
            f"{case.name:34} allocated {allocated:9.1f} of {case.allocated:9.1f} {allocated / case.allocated - 1:+7.2%}"
            f"  reserved {reserved:7.0f} of {case.reserved:7.0f} {reserved / case.reserved - 1:+7.2%}  {row['peers']}",
            flush=True,
        )
    replays = {path.stem: replay(*load(path)) for path in sorted(folder.glob("*.npz"))} if folder else {}
    for name, one in replays.items():
        print(f"{name:34} {one.exact} of {one.allocations} addresses, {one.segments_wanted} of {one.segments} segments")
    command = [sys.executable, __file__, "--large"]
    priced = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(f"13 B step: {priced['seconds']:.1f} CPU-seconds, {priced['bytes'] / 1e6:.0f} MB resident")
    return {**summary(rows, replays), "trace_13b_seconds": priced["seconds"], "trace_13b_bytes": priced["bytes"]}


def summary(rows: list[dict[str, Any]], replays: dict[str, Replay]) -> dict[str, Any]:
    """What is written down."""
    errors = [abs(row["predicted_allocated"] / row["allocated"] - 1) for row in rows]
    held = [abs(row["predicted_reserved"] / row["reserved"] - 1) for row in rows]
    return {
        "cases": len(rows),
        "allocated_median_error": statistics.median(errors),
        "allocated_worst_error": max(errors),
        "reserved_worst_error": max(held),
        "traces": len(replays),
        "traces_address_exact": sum(one.address_exact for one in replays.values()),
        "peers": {name: _worst(rows, name) for name in PEERS},
        "rows": rows,
        "replays": {
            name: {
                "allocations": one.allocations,
                "exact": one.exact,
                "segments": one.segments,
                "segments_predicted": one.segments_wanted,
                "reserved_exact": one.peak_reserved == one.recorded_peak_reserved,
            }
            for name, one in replays.items()
        },
    }


def _worst(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    said = [(row["case"], row["peers"].get(name), row["allocated"]) for row in rows]
    errors = {case: value / truth - 1 for case, value, truth in said if isinstance(value, int | float)}
    worst = max(errors.values(), key=abs, default=None)
    median = statistics.median(map(abs, errors.values())) if errors else None
    return {"cases": len(errors), "median_error": median, "worst_error": worst}


def document(found: dict[str, Any]) -> str:
    """docs/benchmarks/sizing.md."""
    lines = [
        "# Sizing: predictions against real peaks",
        "",
        "Written by `make bench-sizing` (one thread, no GPU). Real peaks: a pre-norm language model of 423 million",
        "parameters in plain PyTorch on a CUDA card, from memory snapshots that others published; the model is written",
        "anew from its description (benchmarks/sizing/written_out.py), so temporaries may differ from the original's.",
        "",
        "| step | allocated MiB | predicted | error | reserved MiB | predicted | error | " + " | ".join(PEERS) + " |",
        "|---|---|---|---|---|---|---|" + "---|" * len(PEERS),
    ]
    for row in found["rows"]:
        a, r, pa, pr = (row[key] for key in ("allocated", "reserved", "predicted_allocated", "predicted_reserved"))
        peers = [_peer(row["peers"].get(name), a) for name in PEERS]
        lines.append(
            f"| {row['case']} | {a:.1f} | {pa:.1f} | {pa / a - 1:+.2%} | {r:.0f} | {pr:.0f} | {pr / r - 1:+.2%} | "
            + " | ".join(peers)
            + " |"
        )
    lines += [
        "",
        "Peers: error of their figure against allocated memory. What each of them counts differs; none of",
        "",
    ]
    lines[-1:] = ["them predicts reserved memory.", "", "## Recorded allocator traces", ""]
    lines += ["| trace | addresses exact | new segments | reserved peak exact |", "|---|---|---|---|"]
    for name, one in found["replays"].items():
        exact = f"{one['exact']} of {one['allocations']}"
        lines.append(
            f"| {name} | {exact} | {one['segments_predicted']} of {one['segments']} | {one['reserved_exact']} |"
        )
    lines += [
        "",
        f"A 13.1-billion-parameter step with FSDP over two ranks, checkpointing and AdamW is traced in "
        f"{found['trace_13b_seconds']:.1f} CPU-seconds with {found['trace_13b_bytes'] / 1e6:.0f} MB resident.",
        "",
        "Not validated on a card: fused attention, convolution libraries, sharding, offload, low-bit states.",
        "",
    ]
    return "\n".join(lines)


def _peer(value: Any, truth: float) -> str:
    return (
        f"{value / truth - 1:+.1%}" if isinstance(value, int | float) else "no answer" if value is None else str(value)
    )


def _traces() -> Path | None:
    folders = (parent / "shared" / "data" / "cuda_allocator_traces" for parent in HERE.parents)
    return next((folder for folder in folders if folder.is_dir()), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="only the 13 B trace, as JSON")
    parser.add_argument("--no-peers", action="store_true", help="leave other tools out")
    parser.add_argument("--traces", type=Path, default=_traces(), help="folder of recorded traces")
    given = parser.parse_args()
    if given.large:
        print(json.dumps(large()))
        return
    found = measure(given.traces, not given.no_peers)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    DOCS.parent.mkdir(exist_ok=True)
    DOCS.write_text(document(found), encoding="utf-8")
    print(f"written: {RESULTS.name}, {DOCS.name}")


if __name__ == "__main__":
    main()
