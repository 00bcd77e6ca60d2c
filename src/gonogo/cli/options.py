"""The options that several verbs share, and how they are read."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from gonogo.core.profile import Profile, Selection, load_profile, parse_yaml
from gonogo.errors import ProfileError

SubjectArgument = Annotated[
    str,
    typer.Argument(
        metavar="SUBJECT", help="module:attribute, file.py:attribute, a YAML file with _target_, or a recipe."
    ),
]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[key=value ...]", help="Arguments of the function that SUBJECT names.")
]
OwnProfile = Annotated[
    str | None,
    typer.Option(
        "--profile", "-p", help="quick, standard, full, or a YAML file; default: the recipe's own, else standard."
    ),
]
Only = Annotated[list[str] | None, typer.Option("--only", metavar="PREFIX", help="Run only checks that start so.")]
Without = Annotated[list[str] | None, typer.Option("--skip", metavar="PREFIX", help="Leave out checks that start so.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps.")]
Budget = Annotated[str | None, typer.Option("--budget", help="Time for the whole run: 90s, 20min, 2h.")]
TimeLimit = Annotated[str | None, typer.Option("--time-limit", help="Time for each check: 90s, 5min.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="More: tracebacks, output of the worker.")]


def chosen_profile(
    subject: str,
    name: str | None,
    only: list[str] | None,
    skip: list[str] | None,
    budget: str | None = None,
    limit: str | None = None,
) -> Profile:
    """The profile of that name, or the subject's own, with what the command line changes."""
    selection = Selection(tuple(only or ()), tuple(skip or ()), budget, limit)
    return selection.apply(load_profile(own_profile(subject) if name is None else name))


def own_profile(subject: str) -> str:
    """The profile in the folder of a recipe, else the standard one; nothing is imported to find it."""
    package = find_spec("gonogo_recipes")
    folders = (package.submodule_search_locations if package else None) or ()
    files = (Path(folder) / subject / "profile.yaml" for folder in folders if subject.isidentifier())
    return next((str(file) for file in files if file.is_file()), "standard")


def parsed(overrides: list[str] | None) -> dict[str, Any]:
    """['lr=1e-3', 'faulty=true'] as {'lr': 0.001, 'faulty': True}."""
    found: dict[str, Any] = {}
    for text in overrides or ():
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise ProfileError(f"{text!r} was found, key=value was expected")
        found[key.strip()] = parse_yaml(f"value: {value}", text).get("value")
    return found
