"""`gonogo selftest`: inject every fault and see which are caught."""

import os
from typing import Annotated

import typer

from gonogo.cli import options
from gonogo.core.catalogue import load_index
from gonogo.core.check import Check
from gonogo.execution.drill import Cell, drill
from gonogo.execution.supervisor import Request
from gonogo.testing.matrix import ALARM, MISSED, matrix


def selftest(
    subject: Annotated[str, typer.Argument(metavar="[SUBJECT]", help="Your run; the toys if left out.")] = "",
    overrides: options.Overrides = None,
    only: options.Only = None,
    device: options.Device = "cpu",
    profile: options.OwnProfile = None,
    full: Annotated[bool, typer.Option("--full", help="Show each fault to every check, not to its own alone.")] = False,
) -> int:
    """Prove that the checks catch their faults: on the toys (the detection matrix), or in SUBJECT (a fire drill)."""
    chosen = options.chosen_profile(subject, profile, only, None)
    checks = [check for check in load_index() if not only or any(check.id.startswith(prefix) for prefix in only)]
    if not subject:
        rows = matrix(checks, chosen, _told, full=full)
        typer.echo(rows)
        return 1 if MISSED in rows or ALARM in rows else 0
    request = Request(subject, chosen, options.parsed(overrides), device)
    cells = list(drill(request, checks, _say))
    caught = sum(cell.caught for cell in cells)
    possible = sum(cell.possible for cell in cells)
    typer.echo(f"{caught} of {possible} planted faults would be caught in {subject}.")
    return 0 if caught == possible else 1


def _told(row: str) -> None:
    if os.isatty(2):
        typer.echo(row, err=True)


def _say(check: Check, cell: Cell) -> None:
    word = "caught" if cell.caught else "MISSED" if cell.possible else "cannot be injected"
    typer.echo(f"{word:<18} {check.id:<38} {cell.fault:<28} {cell.reason}")
