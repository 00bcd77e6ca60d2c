"""Inputs that are not where the configuration says."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.settings import Setting, is_list, read, settings
from gonogo.training.subject import Subject

_INPUTS = frozenset(("data", "dataset", "datasets", "train", "valid", "val", "test", "dev", "vocab", "tokenizer"))
_INPUTS |= {"corpus", "labels", "ckpt", "checkpoint", "pretrained", "resume", "weights", "manifest", "annotations"}
_INPUTS |= {"features", "input", "inputs", "stats"}
_PLACES = frozenset(("path", "paths", "dir", "dirs", "root", "folder", "file", "files", "csv", "json", "ckpt"))
_OUTPUTS = frozenset(("out", "output", "outputs", "save", "saved", "saving", "log", "logs", "logging", "cache", "tmp"))
_OUTPUTS |= {"temp", "work", "working", "result", "results", "artifact", "artifacts", "export", "runs", "wandb"}
_OUTPUTS |= {"mlflow", "tensorboard", "hydra"}
_CODE = ("_target_", "class_path")  # names of Python objects
_FILE = re.compile(r"\.[A-Za-z]\w{0,8}$")


@check(
    needs={C.CONFIG},
    effort=Effort.READ,
    criteria=[at_most("missing", warn=0, source="ours: the run may start on another machine, so a warning")],
    since="0.1",
)
def missing_paths(session: Session) -> Observation:
    """Configured inputs exist | Configured inputs do not exist

    What: counts the values whose key and text say that they are the place of an input (data, vocabulary, checkpoint to
        start from) and where there is nothing: from the working directory, from the folder of the configuration's file
        and from the folder above it. Places of outputs, addresses, names on a hub and patterns are left out.
    Why: a missing file ends a queued job after hours, and where the code asks `if path.exists()`, the run starts
        without its pretrained weights, and nobody is told.
    Fix: correct the path, or make the code refuse to start without it.
    Shapes: one row per path.
    Units: missing: {path} (n: paths of inputs).
    Source: ours: rehearsals of the start of a run.
    """
    config = session.subject.config
    near = [Path(str(config)).resolve().parent] if isinstance(config, str | Path) else []
    roots = [Path.cwd(), *near, *(folder.parent for folder in near)]
    places = [(one, text) for one in settings(read(config)) for text in _places(one)]
    if not places:
        raise NotApplicable("the configuration names no place of an input")
    rows = tuple((one.path, text) for one, text in places if not _exists(text, roots))
    table = Table("Inputs that are not there", ("key", "path"), rows)
    return Observation({"missing": Measurement(len(rows), "{path}", n=len(places))}, (table,))


def _places(one: Setting) -> list[str]:
    words = frozenset(re.split(r"[^a-z0-9]+", one.name))
    if one.name in _CODE or one.words & _OUTPUTS or not words & (_INPUTS | _PLACES) or not (one.words & _INPUTS):
        return []
    texts = [text for text in (one.value if is_list(one.value) else [one.value]) if isinstance(text, str)]
    return [text for text in texts if _is_local(text, bool(words & _PLACES))]


def _is_local(text: str, says_place: bool) -> bool:
    if re.search(r"://|[*?{}$<>|\n]|\s{2}", text) or not text.strip() or len(text) > 300:
        return False
    if text.startswith(("/", "./", "../", "~")):
        return True
    if text.count("/") == 1 and not _FILE.search(text) and not text.startswith("data/"):
        return False  # owner/name on a hub
    return "/" in text or (says_place and bool(_FILE.search(text)))


def _exists(text: str, roots: Sequence[Path]) -> bool:
    try:
        return any((root / Path(text).expanduser()).exists() for root in roots)
    except (OSError, RuntimeError):  # no permission to look, or no home
        return True


@fault(expect=Status.WARN)
def pretrained_weights_moved(subject: Subject) -> Subject:
    """The checkpoint to start from is not there."""
    return replace(subject, config={**read(subject.config), "pretrained_path": "checkpoints/moved/best.pt"})
