"""A path that exists on one machine only."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from gonogo.audit.source import Source, define, sources
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.training.session import Session
from gonogo.training.subject import Subject

# Homes of people and mounts of clusters; /tmp, /dev and /proc are everywhere.
_PERSONAL = re.compile(r"^(/(home|Users|root|mnt|media)/\w|/scratch\w*/\w|/content/\w|[A-Z]:[\\/]\w)")


@check(
    needs=(),
    effort=Effort.READ,
    criteria=[at_most("absolute", warn=0, source="ours: the run may be meant for this one machine")],
    since="0.1",
)
def absolute_paths(session: Session) -> Observation:
    """No path of one machine is in the code | Paths of one machine are in the code

    What: counts texts in the code that begin like the home of a person or the mount of a cluster.
    Why: on the machine where the long run is started the path is missing, or is another one: an old copy of the data.
    Fix: take it from the configuration or an environment variable, or derive it from Path(__file__).
    Shapes: one row per text.
    Units: absolute: {text} (n: files read).
    Source: ours: a smoke test that could only pass in its author's home.
    """
    files = sources(session.subject)
    rows = tuple((source.place(node), str(node.value)[:100]) for source in files for node in _texts(source))
    table = Table("Paths of one machine", ("place", "path"), rows)
    return Observation({"absolute": Measurement(len(rows), "{text}", n=len(files))}, (table,))


def _texts(source: Source) -> Iterator[ast.Constant]:
    spoken = {id(node.value) for node in ast.walk(source.tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(source.tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in spoken else None
        if isinstance(node, ast.Constant) and isinstance(text, str) and _PERSONAL.match(text) and "\n" not in text:
            yield node


@fault(expect=Status.WARN)
def path_of_a_home(subject: Subject) -> Subject:
    """The data is read from the home of the author."""
    home = "/".join(("", "home", "somebody", "data"))
    text = f"def evaluate(model, loader, path='{home}'):\n    return {{'length': float(len(path))}}\n"
    return replace(subject, evaluate=define("absolute_paths", text)["evaluate"])
