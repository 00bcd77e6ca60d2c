"""`gonogo list`: all checks, filtered by prefix."""

import json
import subprocess
import sys
from typing import Annotated

import typer

from gonogo.core.catalogue import Broken, Catalogue, from_json, load_index, plugin_names


def show(
    prefix: Annotated[str, typer.Argument(help="Only ids that start so.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Everything known about them, as JSON.")] = False,
) -> int:
    """List the checks: id, effort and the question."""
    catalogue = load_index() + installed_plugins()
    checks = [check for check in catalogue if check.id.startswith(prefix)]
    broken = [row for row in catalogue.broken if row.id.startswith(prefix) or prefix.startswith(row.id)]
    if as_json:
        rows = [{"id": check.id, "effort": check.effort.name, "title": check.doc.title_pass} for check in checks]
        typer.echo(json.dumps([*rows, *({"id": row.id, "error": row.error} for row in broken)], indent=1))
        return 0
    for check in checks:
        typer.echo(f"{check.id:<38} {check.effort.name:<5} {check.doc.title_pass}")
    for row in broken:
        typer.echo(f"{row.id:<38} ERROR {row.error}")
    typer.echo(f"{len(checks)} checks. `gonogo explain ID` tells more.")
    return 0 if checks or broken else 5


def installed_plugins() -> Catalogue:
    """The checks of installed plug-ins; a process of its own imports them (and torch), and only if there are any."""
    names = plugin_names()
    if not names:
        return Catalogue(())
    code = "from gonogo.core.catalogue import *; print(to_json(discover_plugins()))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return from_json(done.stdout[done.stdout.index("{") :])
    last = (done.stderr.strip().splitlines() or ["no output"])[-1]
    return Catalogue(
        (), tuple(Broken(f"{name}/", f"importing the plug-ins ended the process: {last}") for name in names)
    )
