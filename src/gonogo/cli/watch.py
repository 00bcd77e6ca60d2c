"""`gonogo watch`: run an unmodified training script under observation and judge what was seen."""

import shlex
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gonogo.cli import options
from gonogo.cli.folders import prepared, say
from gonogo.cli.tracking import To, publishing, tell
from gonogo.core.report import Report
from gonogo.errors import ProfileError
from gonogo.training import recording
from gonogo.training.recording import Recording
from gonogo.watch import launch
from gonogo.watch.orders import DEFAULT_SECONDS, DEFAULT_STEPS, Orders

NOT_SEEN = "no optimizer step was seen"
NO_PYTHON = (
    "no Python process was heard of: what runs in a container, on another machine or with python -I, -E or -S "
    "cannot be watched from here; give the command that starts Python there"
)
BY_HAND = "no optimizer of torch.optim was made: weights that the script changes by its own hand cannot be followed"


def watch(
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND ...", help="As you start it: python train.py --lr 1e-3")
    ],
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="End after so many optimizer steps [50, and 20 s].")
    ] = None,
    profile: Annotated[str, typer.Option("--profile", "-p", help="watch, or the path of a YAML file.")] = "watch",
    only: options.Only = None,
    skip: options.Without = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the reports.")] = None,
    to: To = None,
    verbose: options.Verbose = False,
) -> int:
    """Run COMMAND unmodified for some optimizer steps, and answer GO, NO-GO or HOLD."""
    chosen = options.chosen_profile("", profile, only, skip)
    _refuse_others(chosen)
    launch.command(command)  # what cannot be started is told before anything is written
    with publishing(to, shlex.join(command)) as publish:
        folder = prepared(out, f"watch {_short(command)}")
        traces = _empty(folder / "recording")
        seconds = DEFAULT_SECONDS if steps is None else 0.0
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        started = datetime.now(tz=UTC).isoformat(timespec="seconds")
        ended = launch.run(command, Orders(traces.resolve(), steps or DEFAULT_STEPS, seconds))
        seen = recording.chosen(traces)
        report = _judged(_completed(seen, ended, traces), shlex.join(command), chosen)
        report = replace(report, started=started, seconds=ended.seconds + report.seconds)
        report = replace(report, notes=(*_notes(seen, ended, traces), *report.notes))
        say("")
        tell(report, folder, publish, verbose)
    return 130 if ended.interrupted and not seen.steps else report.exit_code


def _refuse_others(profile: options.Profile) -> None:
    """A profile for `gonogo run` is told before the script has run for nothing."""
    waived = (waiver.check for waiver in profile.waivers)
    named = (*profile.required, *profile.select, *profile.ignore, *profile.checks, *waived)
    if others := [name for name in named if not name.startswith("watch")]:
        found = f"profile {profile.name}: {others[0]} was found, which nobody can measure on a script as it is"
        raise ProfileError(f"{found}; expected watch.* alone. Use --profile watch, or select and require checks of it")


def _empty(traces: Path) -> Path:
    traces.mkdir(exist_ok=True)
    for old in (*traces.glob("*.jsonl"), *traces.glob("*.python"), traces / "until"):
        old.unlink(missing_ok=True)
    return traces


def _judged(seen: Recording, name: str, profile: options.Profile) -> Report:
    from gonogo.execution.inline import run  # torch, which `--help` must not load
    from gonogo.training.subject import Subject

    return run(Subject(name=name, recording=seen), profile, device="cpu", among="watch.")


def _completed(seen: Recording, ended: launch.Ended, traces: Path) -> Recording:
    """With a last word that the script itself could not say: how it failed, or why nothing was seen of it."""
    last = seen.last("end") or {}
    if last.get("how") in ("steps", "error"):
        return seen
    end = {"kind": "end", "step": seen.steps}
    if ended.failed:
        line = next((event["line"] for event in reversed(seen.events) if event.get("line")), "")
        errors = recording.errors(traces) or [f"the command {ended.told}"]
        where = f"last seen at {line}" if line else "what it said stands in the terminal"
        return Recording((*seen.events, {**end, "how": "error", "error": errors[0], "where": where}))
    if not seen.steps:
        return Recording((*seen.events, {**end, "how": "exit", "unseen": _unseen(seen, ended, traces)}))
    return seen


def _unseen(seen: Recording, ended: launch.Ended, traces: Path) -> str:
    """Why no optimizer step was seen, as far as known."""
    if ended.interrupted:
        return f"{NOT_SEEN}: the command {ended.told}"
    if seen.events:
        return NOT_SEEN if seen.of("optimizer") or not seen.of("backward") else BY_HAND
    pythons = sorted({file.read_text() for file in traces.glob("*.python")})
    return f"{NOT_SEEN}: torch was not imported in {', '.join(pythons)}" if pythons else NO_PYTHON


def _notes(seen: Recording, ended: launch.Ended, traces: Path) -> tuple[str, ...]:
    """What a reader must know of the script's own fate."""
    told = [f"seen: {_counts(seen)}"]
    errors = [] if ended.interrupted else recording.errors(traces)
    if (end := seen.last("end") or {"how": "lost"})["how"] != "steps":
        how = "reached its own end" if end["how"] == "exit" and not ended.code else ended.told
        until = "what it did until then was judged" if seen.steps else "nothing of it could be judged"
        told += [f"the script failed by itself: {error}; {until}" for error in errors[:1]]
        told += [f"the script {how} before it had to be stopped; {until}"] * (not errors)
    if ended.failed and not seen.steps:
        told.append(_unseen(seen, ended, traces))
    if (others := recording.trained(traces) - 1) > 0:
        told.append(
            f"{others} more of its processes trained; the first rank, or else the one with most steps, is judged"
        )
    if over := sorted({event["over"] for event in seen.of("save") if "over" in event}):
        told.append(f"the script wrote over files that were there before: {', '.join(over[:5])}")
    told += [f"the watch could not follow {event['where']}: {event['error']}" for event in seen.of("mistake")]
    return tuple(told)


def _counts(seen: Recording) -> str:
    kinds = {
        "step": ("optimizer step", "optimizer steps"),
        "backward": ("backward pass", "backward passes"),
        "call": ("forward pass", "forward passes"),
        "loss": ("loss looked into", "losses looked into"),
        "pass": ("pass over a loader", "passes over loaders"),
        "save": ("checkpoint", "checkpoints"),
    }
    counted = {names: len(seen.of(kind)) for kind, names in kinds.items()}
    return ", ".join(f"{count} {names[count != 1]}" for names, count in counted.items())


def _short(command: list[str]) -> str:
    return next((Path(word).stem for word in command if word.endswith(".py")), command[-1])
