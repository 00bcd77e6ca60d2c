"""`gonogo study`: variants under one procedure, several seeds, one comparison."""

import os
import platform
import shlex
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gonogo import __version__
from gonogo.cli import options
from gonogo.cli.folders import prepared, say, shown
from gonogo.cli.progress import trial_progress
from gonogo.reports import document

FLAGGED, INCOMPLETE = 1, 4


def study(
    subject: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="A recipe, module:attribute or file.py:attribute of a Study.")
    ],
    overrides: options.Overrides = None,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Trainings of each variant.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Trainings at a time; 0: in this process.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the reports.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a study that was killed.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 where the reference is not ahead.")] = False,
    verbose: options.Verbose = False,
) -> int:
    """Train every variant of SUBJECT with the same seeds and compare them with intervals."""
    from gonogo.cli import studying  # NumPy and what the study itself needs, which `--help` must not load

    # As for every worker of gonogo: small models are many times slower with more threads than idle cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    settings = options.parsed(overrides)
    load = partial(studying.found, subject, tuple(settings.items()))
    design = load()  # a study that is not there must not leave a folder behind
    folder, clock = prepared(out, f"study {subject}", resume), time.monotonic()
    with trial_progress(len(design.variants) * (seeds or len(design.seeds))) as listen:
        comparison = studying.compared(
            load, folder, seeds=seeds, jobs=jobs, resume=resume, settings=settings, listen=listen
        )
    page = studying.described(comparison, _facts(settings, jobs, time.monotonic() - clock))
    written = document.write_all(page, folder)
    say(document.text(page))
    say(f"Report: {shown(written['html'])}")
    if comparison.failures:
        return INCOMPLETE
    return FLAGGED if strict and page.flags else 0


def _facts(settings: Mapping[str, Any], jobs: int, seconds: float) -> dict[str, Any]:
    return {
        "command": shlex.join(["gonogo", *sys.argv[1:]]),
        "settings": dict(settings),
        "trainings at a time": jobs,
        "seconds": round(seconds, 1),
        "finished": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "gonogo": __version__,
    }
