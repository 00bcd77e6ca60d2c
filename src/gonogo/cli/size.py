"""`gonogo size`: will it fit, how long, what will it cost, and what is the smallest change that makes it fit?"""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gonogo import __version__
from gonogo.cli import options
from gonogo.cli.folders import prepared, say, shown
from gonogo.core import judge
from gonogo.core.catalogue import load_index
from gonogo.core.measurement import Evidence, Observation
from gonogo.core.plan import make_plan
from gonogo.core.profile import Profile, Selection, load_profile
from gonogo.core.report import Outcome, Report, Result
from gonogo.reports import as_text, files

CHECKS = ("sizing.memory-headroom", "sizing.time-budget", "sizing.claims")


def size(
    subject: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="As for run; or a plan in YAML, a config.json, a model's id.")
    ],
    overrides: options.Overrides = None,
    gpu: Annotated[str | None, typer.Option("--gpu", help="2xA5000, 1xH200, or 1xA100-80GB,2xL40S.")] = None,
    strategy: Annotated[
        str | None, typer.Option("--strategy", help="bf16,adamw8bit,checkpointing,fsdp,... or 'none'.")
    ] = None,
    seq: Annotated[int | None, typer.Option("--seq", min=1, help="Tokens in a row.")] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Rows in a micro-batch.")] = None,
    price: Annotated[float | None, typer.Option("--price", min=0, help="USD per device and hour, for yours.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the reports.")] = None,
    verbose: options.Verbose = False,
) -> int:
    """Predict memory and time of SUBJECT on devices that need not be here."""
    from gonogo.cli.sizing import question  # torch, which `--help` must not load

    started, clock = datetime.now(tz=UTC), time.monotonic()
    asked = question(subject, options.parsed(overrides), gpu, strategy, seq, batch, price, _told)
    folder = prepared(out, f"size {subject}")
    profile = Selection(only=CHECKS).apply(load_profile("standard"))
    report = Report(
        subject=f"{asked.name} on {asked.devices}",
        profile=profile.model_dump(mode="json"),
        results=tuple(_judged(profile, asked.answers())),
        notes=asked.notes,
        started=started.isoformat(timespec="seconds"),
        seconds=time.monotonic() - clock,
        gonogo=__version__,
    )
    written = files.write_all(report, folder)
    say(as_text.render(report, verbose=verbose))
    say("\n".join(_tables(report)))
    say(f"Report: {shown(written['html'])}")
    return report.exit_code


def _told(text: str) -> None:
    if os.isatty(2):
        typer.echo(text, err=True)


def _judged(profile: Profile, observations: dict[str, Observation]) -> list[Result]:
    plan = make_plan(load_index(), profile, ())
    found: list[Result] = []
    for step in plan.steps:
        observation = observations.get(step.check.id)
        if observation is not None:
            outcome = Outcome(observation=observation, evidence=Evidence.PROXY)
            found.append(judge.judge_outcome(step, outcome, profile))
    return found


def _tables(report: Report) -> Iterator[str]:
    """The tables that a person asked for, aligned: pictures stay in the report."""
    for table in (table for result in report.results if result.observation for table in result.observation.tables):
        if table.kind not in ("table", "bar"):
            continue
        cells = [[cell if isinstance(cell, str) else f"{cell:.3g}" for cell in row] for row in table.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        yield table.title
        for row in cells:
            yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield ""
