"""What is found, and what is accused wrongly: the fault bank under the standard profile.

Every program of benchmarks/faults is run as it should be and with its mistake, every program of benchmarks/clean as
it is. Prints recall by tier and category, false alarms per clean run, and each miss and alarm with its reason;
`--only a05 m1` runs a part and writes nothing. Run all of it on an idle machine: `make bench-faults`.
"""

import argparse
import ast
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gonogo.audit.intervals import wilson

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "faults.json"
SECONDS = 240.0  # for one program, all checks included
FLAGGED = ("WARN", "FAIL")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run said: the verdict, the first reason, and every finding as {check: [status, reason]}."""

    verdict: str
    root: str = ""
    seconds: float = 0.0
    findings: dict[str, list[str]] = field(default_factory=dict)
    note: str = ""

    def flagged(self) -> set[str]:
        return {check for check, (status, _) in self.findings.items() if status in FLAGGED}

    def failed(self) -> set[str]:
        return {check for check, (status, _) in self.findings.items() if status == "FAIL"}


@dataclass(frozen=True, slots=True)
class Twin:
    """One fault: its file, and what the file says of it."""

    path: Path
    id: str
    tier: str
    category: str
    expect: tuple[str, ...]


def twins() -> list[Twin]:
    """Every module of the bank, read without being imported."""
    return [_twin(path) for path in sorted((ROOT / "benchmarks" / "faults").glob("[!_]*.py"))]


def _twin(path: Path) -> Twin:
    said = constants(path)
    return Twin(path, said["ID"], said["TIER"], said["CATEGORY"], tuple(said["EXPECT"]))


def constants(path: Path) -> dict[str, Any]:
    """The constants of a module: `ID = "A1"`, or several in one line."""
    said: dict[str, Any] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            many = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            names = target.elts if many else [target]
            values = value.elts if many else [value]
            said |= {name.id: _literal(one) for name, one in zip(names, values, strict=True) if hasattr(name, "id")}
    return said


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def clean() -> list[Path]:
    """The programs that are odd and correct."""
    return sorted((ROOT / "benchmarks" / "clean").glob("[!_]*.py"))


def run(path: Path, *overrides: str) -> Run:
    """One program under the standard profile; what came out is also told at once, as the whole takes long."""
    one = _run(path, *overrides)
    print(path.stem, *overrides, one.verdict, f"{one.seconds:.1f} s", one.note, file=sys.stderr, flush=True)
    return one


def _run(path: Path, *overrides: str) -> Run:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        subject = f"{path.relative_to(ROOT)}:build"
        command = [sys.executable, "-m", "gonogo", "run", subject, *overrides, "--out", folder]
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return Run("TIMEOUT", seconds=SECONDS)
        seconds = time.perf_counter() - started
        written = Path(folder) / "report.json"
        if not written.is_file():  # the subject could not be built, or we crashed
            said = (done.stderr or done.stdout).strip().splitlines()
            return Run("REFUSED" if done.returncode == 2 else "CRASH", seconds=seconds, note=said[-1] if said else "")
        return _read(json.loads(written.read_text(encoding="utf-8")), seconds)


def _read(report: dict[str, Any], seconds: float) -> Run:
    found = {r["id"]: [r["status"], r["reason"]] for r in report["results"] if r["status"] in (*FLAGGED, "ERROR")}
    reasons = report["reasons"]
    note = f"{reasons[0]['id']}: {reasons[0]['reason']}" if reasons else ""
    return Run(report["verdict"], reasons[0]["id"] if reasons else "", round(seconds, 2), found, note)


def detected(twin: Twin, right: Run, wrong: Run) -> bool:
    """B must be NO-GO, W at least a warning, by a check that does not say the same of the correct program."""
    if twin.tier == "B":
        return wrong.verdict == "NO-GO" and bool(wrong.failed() - right.failed())
    return bool(wrong.flagged() - right.flagged() or wrong.failed() - right.failed())


def well_named(twin: Twin, wrong: Run) -> bool:
    return any(wrong.root.startswith(prefix) for prefix in twin.expect)


def summary(pairs: list[tuple[Twin, Run, Run]], others: list[tuple[Path, Run]]) -> dict[str, Any]:
    """The figures, and everything behind them."""
    hits = {twin.path.stem: detected(twin, right, wrong) for twin, right, wrong in pairs}
    tiers = {tier: [hits[twin.path.stem] for twin, _, _ in pairs if twin.tier == tier] for tier in "BW"}
    named = [well_named(twin, wrong) for twin, _, wrong in pairs if twin.tier == "B" and hits[twin.path.stem]]
    clean_runs = [(twin.path, right) for twin, right, _ in pairs] + others
    alarms = [(path, one) for path, one in clean_runs if one.verdict != "GO"]
    runs = [one for _, right, wrong in pairs for one in (right, wrong)] + [one for _, one in others]
    low, high = wilson(len(alarms), len(clean_runs)) if clean_runs else (0.0, 1.0)
    return {
        "twins": len(pairs),
        "recall_b": _share(tiers["B"]),
        "recall_w": _share(tiers["W"]),
        "root_first": _share(named),
        "clean_programs": len(clean_runs),
        "false_alarms": len(alarms),
        "false_alarm_interval": [round(low, 4), round(high, 4)],
        "seconds_median": round(statistics.median(one.seconds for one in runs), 2),
        "by_category": _by_category(pairs, hits),
        "clean_warnings": sorted(f"{p.stem}: {check}" for p, one in clean_runs for check in one.flagged()),
        "programs": {
            **{twin.path.stem: _pair(twin, right, wrong, hits[twin.path.stem]) for twin, right, wrong in pairs},
            **{path.stem: {"clean": _plain(one)} for path, one in others},
        },
    }


def _share(values: Iterable[bool]) -> float | None:
    values = list(values)
    return round(sum(values) / len(values), 4) if values else None


def _by_category(pairs: list[tuple[Twin, Run, Run]], hits: dict[str, bool]) -> dict[str, str]:
    groups: dict[str, list[bool]] = defaultdict(list)
    for twin, _, _ in pairs:
        groups[f"{twin.tier} {twin.category}"].append(hits[twin.path.stem])
    return {name: f"{sum(values)}/{len(values)}" for name, values in sorted(groups.items())}


def _pair(twin: Twin, right: Run, wrong: Run, hit: bool) -> dict[str, Any]:
    about = {"id": twin.id, "tier": twin.tier, "category": twin.category, "expect": list(twin.expect)}
    named = well_named(twin, wrong) if hit and twin.tier == "B" else None
    return {**about, "detected": hit, "root_as_expected": named, "clean": _plain(right), "faulty": _plain(wrong)}


def _plain(one: Run) -> dict[str, Any]:
    return {
        "verdict": one.verdict,
        "root": one.root,
        "seconds": round(one.seconds, 2),
        "findings": one.findings,
        "note": one.note,
    }


def show(figures: dict[str, Any]) -> None:
    """The figures for a reader, with every miss and alarm."""
    low, high = figures["false_alarm_interval"]
    print(
        f"{figures['twins']} twins, {figures['clean_programs']} clean runs, {figures['seconds_median']} s each (median)"
    )
    for name in ("recall_b", "recall_w", "root_first"):
        print(f"  {name:10} {'-' if figures[name] is None else format(figures[name], '.1%')}")
    print(f"  false alarms {figures['false_alarms']} (rate between {low:.1%} and {high:.1%})")
    for name, found in figures["by_category"].items():
        print(f"  {name:28} {found}")
    for title, lines in (
        ("Missed", _missed(figures)),
        ("Named otherwise", _misnamed(figures)),
        ("Alarms", _alarms(figures)),
    ):
        print(f"\n{title}: {len(lines)}", *lines, sep="\n  ")
    print("\nWarnings on clean runs:", *figures["clean_warnings"], sep="\n  ")


def _missed(figures: dict[str, Any]) -> list[str]:
    of = figures["programs"].items()
    return [
        f"{p['tier']} {name}: {p['faulty']['verdict']} {p['faulty']['note']}"
        for name, p in of
        if p.get("detected") is False
    ]


def _misnamed(figures: dict[str, Any]) -> list[str]:
    of = figures["programs"].items()
    return [f"{name}: {p['faulty']['note']}" for name, p in of if p.get("root_as_expected") is False]


def _alarms(figures: dict[str, Any]) -> list[str]:
    of = figures["programs"].items()
    return [f"{name}: {p['clean']['verdict']} {p['clean']['note']}" for name, p in of if p["clean"]["verdict"] != "GO"]


def _commit() -> str:
    said = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return said.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=(), help="beginnings of file names")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    wanted = lambda path: not given.only or path.name.startswith(tuple(given.only))
    bank = [twin for twin in twins() if wanted(twin.path)]
    others = [path for path in clean() if wanted(path)]
    with ThreadPoolExecutor(given.jobs) as pool:
        right = [pool.submit(run, twin.path, "faulty=false") for twin in bank]
        wrong = [pool.submit(run, twin.path, "faulty=true") for twin in bank]
        rest = [pool.submit(run, path) for path in others]
        pairs = [(twin, a.result(), b.result()) for twin, a, b in zip(bank, right, wrong, strict=True)]
        figures = summary(pairs, [(path, one.result()) for path, one in zip(others, rest, strict=True)])
    show(figures)
    if not given.only:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps({"commit": _commit(), **figures}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
