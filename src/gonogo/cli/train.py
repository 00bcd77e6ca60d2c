"""`gonogo train`: train a recipe, in a folder from which a killed training goes on."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from gonogo.cli import options
from gonogo.cli.folders import say, shown
from gonogo.errors import SubjectError, did_you_mean

FOLDER = Path(".gonogo") / "train"
LINES = 20  # that a log without a terminal gets, evenly over the run
Listener = Callable[[Mapping[str, Any], int], None]


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe, such as maft, or path/file.py:function.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[key=value ...]", help="Settings: training.epochs=5.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; default: .gonogo/train/RECIPE.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a training in the folder stopped.")] = False,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Stop after so many updates in all.")] = None,
    device: options.Device = "auto",
) -> int:
    """Train RECIPE. Whenever it is killed, `--resume` goes on to bit for bit the same weights."""
    start = _located(recipe, options.parsed(overrides))
    folder = out or _default(recipe)
    with _shown(recipe) as listen:
        summary = start(folder, resume=resume, max_steps=steps, device=device, listen=listen)
    for name, value in summary.items():
        say(f"{name:<24} {_text(value)}")
    say(f"In {shown(folder)}: {', '.join(sorted(path.name for path in folder.iterdir() if path.is_file()))}")
    return 0


def _located(recipe: str, overrides: Mapping[str, Any]) -> Callable[..., Mapping[str, Any]]:
    """What starts the training: recipes have `train.build(**settings)`, which checks the settings and returns it."""
    from gonogo.adapters import locate  # imports torch

    names = locate.recipes("train")
    if ":" not in recipe and not recipe.endswith(".py") and recipe not in names:
        raise SubjectError(
            f"there is no recipe {recipe!r} that can be trained. There are: {', '.join(names) or 'none'}."
            f"{did_you_mean(recipe, names)}"
        )
    return locate.built(locate.find(recipe, "train"), overrides, recipe)


def _default(recipe: str) -> Path:
    name = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in recipe).strip("-")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER.parent / ".gitignore").write_text("*\n", encoding="utf-8")
    return FOLDER / name


@contextmanager
def _shown(recipe: str) -> Iterator[Listener]:
    """A listener: a bar for people, some plain lines for logs; validations always have their own line."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console()
    if not console.is_terminal or os.environ.get("CI"):
        yield _plain
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[loss]}"), console=console) as bar:
        task = bar.add_task(recipe, loss="")

        def listen(line: Mapping[str, Any], end: int) -> None:
            if "valid" in line:
                bar.console.print(_line(line, end), markup=False, highlight=False)
            else:
                bar.update(task, completed=line["step"], total=end, loss=_loss(line))

        yield listen


def _plain(line: Mapping[str, Any], end: int) -> None:
    every = max(end // LINES, 1)
    if "valid" in line or ("loss" in line and line["step"] % every == 0):
        say(_line(line, end))


def _line(line: Mapping[str, Any], end: int) -> str:
    where = f"{line['step']}/{end}  epoch {line['epoch']}"
    if "valid" in line:
        return f"{where}  valid  {'  '.join(f'{name} {_text(value)}' for name, value in line['valid'].items())}"
    return f"{where}  {_loss(line)}"


def _loss(line: Mapping[str, Any]) -> str:
    return f"loss {line['loss']:.4f}  lr {line['lr']:.2g}" if "loss" in line else ""


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
