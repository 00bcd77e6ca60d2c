"""What `gonogo watch` finds in broken training loops, and what it says of clean ones.

Every fault of benchmarks/watch/faults.py is put into examples/plain_train.py; every script in benchmarks/watch/clean is
run as it is. Writes benchmarks/results/watch_faults.json; `--only NAME ...` runs some, `--jobs N` several at once.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "watch"))
from faults import FAULTS  # noqa: E402

CLEAN = {path.stem: [str(path)] for path in sorted((HERE / "watch" / "clean").glob("*.py"))}
CLEAN["package"] = ["-m", "package"]
CLEAN["plain_train"] = [str(HERE.parent / "examples" / "plain_train.py")]


def watch(words: list[str], cwd: Path) -> dict:
    """The report on a command."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "gonogo", "watch", "--out", folder, "--", "python", *words]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)
        report = Path(folder) / "report.json"
        if not report.is_file():
            return {"verdict": "none", "reasons": [], "results": [], "stderr": done.stderr[-2000:]}
        return json.loads(report.read_text())


def warned(report: dict) -> list[str]:
    return [result["id"] for result in report["results"] if result["status"] in ("WARN", "ERROR")]


def faulty(fault) -> dict:
    """One fault: was it a NO-GO with the right check first, or a warning of it?"""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "plain_train.py"
        script.write_text(fault.broken(), encoding="utf-8")
        report = watch([str(script), "--epochs", "5", "--out", str(Path(folder) / "w.pt")], Path(folder))
    found = [reason["id"] for reason in report["reasons"]]
    first = warned(report) if fault.warns else found[:1]
    right = report["verdict"] == ("GO" if fault.warns else "NO-GO") and f"watch.{fault.check}" in first
    return {"name": fault.name, "verdict": report["verdict"], "found": found, "right": right, "warned": warned(report)}


def clean(name: str) -> dict:
    """One clean script: was it a GO?"""
    report = watch(CLEAN[name], HERE / "watch" / "clean")
    found = [f"{reason['id']}: {reason['reason']}" for reason in report["reasons"]]
    row = {"name": name, "verdict": report["verdict"], "found": found, "right": report["verdict"] == "GO"}
    return row | {"warned": warned(report), "notes": report.get("notes", report.get("stderr"))}


def main() -> int:
    """Run all, print a line each, write the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    tasks = [(faulty, fault) for fault in FAULTS if not given.only or fault.name in given.only]
    tasks += [(clean, name) for name in CLEAN if not given.only or name in given.only]
    with ThreadPoolExecutor(given.jobs) as pool:
        rows = []
        for row in pool.map(lambda task: task[0](task[1]), tasks):
            rows.append(row)
            mark = "ok   " if row["right"] else "WRONG"
            print(mark, row["name"], row["verdict"], *row["found"], "| warned:", *row["warned"], flush=True)
    right = sum(row["right"] for row in rows)
    print(f"{right} of {len(rows)} as they should be")
    if not given.only:
        (HERE / "results" / "watch_faults.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return int(right != len(rows))


if __name__ == "__main__":
    sys.exit(main())
