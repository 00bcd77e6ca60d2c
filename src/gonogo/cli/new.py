"""`gonogo new check|recipe`: the files to fill in."""

import re
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from gonogo.errors import ProfileError

app = typer.Typer(help="Start a check or a recipe from a template.", no_args_is_help=True)
Into = Annotated[Path, typer.Option("--into", help="The folder to write to.")]


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="An id such as learning.one-batch-fit.")], into: Into = Path()
) -> None:
    """Write a check file with the sections to fill in."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*", name):
        raise ProfileError(f"{name!r} was found; an id such as 'learning.one-batch-fit' was expected")
    category, title = name.replace("-", "_").split(".")
    target = into / category / f"{title}.py"
    text = _template("check.py.txt").replace("NAME", title)
    _write(target, text)
    (target.parent / "__init__.py").touch()
    typer.echo(f"{target}: fill in the measurement, the limits with their sources, and the faults it must catch.")


@app.command()
def recipe(name: Annotated[str, typer.Argument(help="A Python name.")], into: Into = Path()) -> None:
    """Write a recipe folder: a complete training system with its subject and profile."""
    if not name.isidentifier():
        raise ProfileError(f"{name!r} was found; a Python name such as 'my_recipe' was expected")
    for template in (
        "README.md",
        "LOG.md",
        "config.yaml",
        "profile.yaml",
        "model.py",
        "data.py",
        "train.py",
        "subject.py",
    ):
        _write(into / name / template, _template(f"recipe/{template}.txt").replace("NAME", name))
    (into / name / "__init__.py").touch()
    typer.echo(f"{into / name}: try `gonogo run {into / name / 'subject.py'}:build`")


def _template(name: str) -> str:
    return resources.files("gonogo.cli").joinpath("templates", name).read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    if path.exists():
        raise ProfileError(f"{path} exists already; move it away or choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
