"""Predictions of memory against a real card: predicted and hashed first, then measured.

`make bench-gpu` predicts every configuration of benchmarks/sizing/architectures.py, prints the hash of the predictions,
measures each in a process of its own, then emulates smaller cards around what is needed and compares the verdicts.
Every second configuration is held out: its error is told apart, and nothing may be tuned on it. Without a card the
predictions are written and nothing is measured.
"""

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "sizing"))

from architectures import CONFIGURATIONS, Configuration  # noqa: E402 - beside this file

from gonogo.sizing.card import fake_card  # noqa: E402
from gonogo.sizing.card.history import History  # noqa: E402
from gonogo.sizing.card.step import Step, trace  # noqa: E402

RESULTS = HERE / "results"
EMULATED = (0.95, 0.98, 1.02, 1.05)  # of the predicted need
STEPS = 10


def history(one: Configuration) -> History:
    """The memory of its step, traced without a card."""

    def build() -> Step:
        model, optimizer, batch = one.parts(fake_card.DEVICE)
        return Step(model, [optimizer], batch, one.stepping(model, optimizer, batch, fake_card.DEVICE))

    return trace(build).history


def predictions() -> dict[str, dict[str, Any]]:
    """Name -> allocated and reserved peak in bytes, and what emulated cards would answer."""
    found: dict[str, dict[str, Any]] = {}
    for one in CONFIGURATIONS:
        past = history(one)
        fit = past.fit()
        sizes = {str(share): int(share * fit.reserved) for share in EMULATED}
        answers = {share: past.fit(size).answer for share, size in sizes.items()}
        found[one.name] = {"allocated": fit.allocated, "reserved": fit.reserved, "sizes": sizes, "answers": answers}
        print(f"{one.name:30} allocated {fit.allocated:>14,} reserved {fit.reserved:>14,} {answers}", flush=True)
    return found


def measured(one: Configuration, size: int | None) -> dict[str, Any]:
    """The real step on this machine's card, which may be made to seem smaller; sizes in bytes."""
    if size is not None:
        torch.cuda.set_per_process_memory_fraction(size / torch.cuda.get_device_properties(0).total_memory)
    try:
        model, optimizer, batch = one.parts("cuda")
        step = one.stepping(model, optimizer, batch, "cuda")
        seconds = []
        for _ in range(STEPS if size is None else 3):
            torch.cuda.synchronize()
            started = time.perf_counter()
            step()
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - started)
    except torch.cuda.OutOfMemoryError:
        return {"answer": "out of memory"}
    stats = torch.cuda.memory_stats()
    return {
        "answer": "retries" if stats["num_alloc_retries"] else "fits",
        "allocated": torch.cuda.max_memory_allocated(),
        "reserved": torch.cuda.max_memory_reserved(),
        "seconds": statistics.median(seconds),
    }


def _apart(one: Configuration, size: int | None = None) -> dict[str, Any]:
    """The same in a process of its own: a card remembers what ran before."""
    command = [sys.executable, __file__, "--measure", one.name, *(["--size", str(size)] if size else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        return {"answer": "failed", "why": done.stderr.strip().splitlines()[-1:]}
    return json.loads(done.stdout.splitlines()[-1])


def compare(said: dict[str, dict[str, Any]], out: Path) -> dict[str, Any]:
    """Every configuration, failures too; written after each, since time on a card may end."""
    rows: dict[str, Any] = {}
    for index, one in enumerate(CONFIGURATIONS):
        truth = _apart(one)
        row = {"held_out": index % 2 == 1, "predicted": said[one.name], "measured": truth}
        if "allocated" in truth:
            row |= {f"{key}_error": said[one.name][key] / truth[key] - 1 for key in ("allocated", "reserved")}
        rows[one.name] = row
        print(f"{one.name:30} {row.get('allocated_error')} {row.get('reserved_error')} {truth}", flush=True)
        out.write_text(json.dumps(summary(rows), indent=2) + "\n", encoding="utf-8")
    for one in CONFIGURATIONS[1::4]:
        sizes = said[one.name]["sizes"]
        rows[one.name]["emulated"] = {share: _apart(one, size)["answer"] for share, size in sizes.items()}
        out.write_text(json.dumps(summary(rows), indent=2) + "\n", encoding="utf-8")
    return summary(rows)


def summary(rows: dict[str, Any]) -> dict[str, Any]:
    """Errors over all, and over what was held out; cards that were called large enough and were not."""
    found: dict[str, Any] = {"card": torch.cuda.get_device_name(), "torch": torch.__version__, "rows": rows}
    for part, chosen in (("all", rows.values()), ("held_out", [row for row in rows.values() if row["held_out"]])):
        for key in ("allocated", "reserved"):
            errors = sorted(abs(row[f"{key}_error"]) for row in chosen if f"{key}_error" in row)
            if errors:
                worst = errors[min(len(errors) - 1, int(0.95 * len(errors)))]
                found[f"{part}_{key}"] = {"n": len(errors), "median": statistics.median(errors), "p95": worst}
    found["false_fits"] = [
        (name, share)
        for name, row in rows.items()
        for share, answer in row.get("emulated", {}).items()
        if answer == "out of memory" and row["predicted"]["answers"][share] == "fits"
    ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", help="one configuration on the card, as JSON")
    parser.add_argument("--size", type=int, help="bytes that the card seems to have")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    if given.measure:
        one = next(one for one in CONFIGURATIONS if one.name == given.measure)
        print(json.dumps(measured(one, given.size)))
        return
    given.out.mkdir(exist_ok=True, parents=True)
    said = predictions()
    text = json.dumps({"torch": torch.__version__, "predictions": said}, indent=1) + "\n"
    (given.out / "gpu_predictions.json").write_text(text, encoding="utf-8")
    print(f"predictions written before anything was measured: sha256 {hashlib.sha256(text.encode()).hexdigest()}")
    if not torch.cuda.is_available():
        print("torch sees no card here: nothing was measured")
        return
    found = compare(said, given.out / "gpu.json")
    print(json.dumps({key: value for key, value in found.items() if key != "rows"}, indent=2))


if __name__ == "__main__":
    main()
