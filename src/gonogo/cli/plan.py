"""`gonogo plan`: what would run, in order, and what would not, with reasons."""

import typer

from gonogo.cli import options
from gonogo.core.plan import Skip
from gonogo.execution.supervisor import Request, Workers, prepare


def plan(
    subject: options.SubjectArgument,
    overrides: options.Overrides = None,
    profile: options.OwnProfile = None,
    only: options.Only = None,
    skip: options.Without = None,
    device: options.Device = "auto",
) -> int:
    """Show what `run` would do; SUBJECT is loaded, nothing is measured."""
    chosen = options.chosen_profile(subject, profile, only, skip)
    workers = Workers(Request(subject, chosen, options.parsed(overrides), device))
    try:
        planned = prepare(workers._request, workers)
    finally:
        workers.close()
    for step in planned.steps:
        if step.skip is not Skip.DESELECTED:
            mark = "required" if step.required else ""
            text = f"skip: {step.reason}" if step.skip else step.check.doc.title_pass
            typer.echo(f"{step.check.effort.name:<5} {step.check.id:<38} {mark:<9} {text}")
    left_out = sum(step.skip is Skip.DESELECTED for step in planned.steps)
    typer.echo(f"{len(planned.runnable)} checks would run; {left_out} are not selected by the profile {chosen.name}.")
    return 0 if planned.runnable else 5
