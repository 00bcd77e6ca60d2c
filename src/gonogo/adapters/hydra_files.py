"""A YAML file with a defaults list -> what Hydra composes of it, as in a run that is started in this folder."""

import contextlib
import importlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gonogo.errors import SubjectError, did_you_mean


def composed(path: Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """What Hydra composes from the defaults list of a file, without running anything.

    Raises:
        SubjectError: It cannot; the message has Hydra's words and the nearest key.
    """
    words = [f"{key}={'null' if value is None else value}" for key, value in overrides.items()]
    _, omegaconf = imported("hydra", path), imported("omegaconf", path)
    try:
        made = _by_hydra(path, words)
        _started_here(made)
        content = omegaconf.OmegaConf.to_container(made, resolve=False)
    except Exception as error:  # a dozen classes of two libraries, all about what the user wrote
        text = " ".join(str(error).split())
        raise SubjectError(f"{path}: Hydra cannot compose it: {text}{_near(path, text)}") from None
    return {key: value for key, value in content.items() if key != "hydra"}


def find_project_root(path: Path) -> None:
    """Set what rootutils sets in the scripts of many templates: the folder of a file `.project-root` above."""
    root = next((folder for folder in path.resolve().parents if (folder / ".project-root").is_file()), None)
    if root is not None:
        os.environ.setdefault("PROJECT_ROOT", str(root))
        sys.path[:0] = [str(root)] if str(root) not in sys.path else []


def imported(name: str, path: Path) -> Any:
    """A library of Hydra's.

    Raises:
        SubjectError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise SubjectError(
            f"{path} is composed by Hydra, which is not installed: pip install 'gonogo[hydra]'"
        ) from None


def _by_hydra(path: Path, words: list[str]) -> Any:
    hydra = imported("hydra", path)
    with hydra.initialize_config_dir(str(path.resolve().parent), version_base=None):
        return hydra.compose(config_name=path.stem, overrides=words, return_hydra_config=True)


def _near(path: Path, text: str) -> str:
    """The key that may be meant where one is overridden that does not exist."""
    wrong = re.search(r"Could not override '([^']+)'", text)
    if wrong is None:
        return ""
    with contextlib.suppress(Exception):
        return did_you_mean(wrong[1], _keys(_by_hydra(path, []), ""))
    return ""


def _keys(node: Any, where: str) -> Iterator[str]:
    for key in node if isinstance(node, Mapping) or hasattr(node, "_is_none") else ():
        yield f"{where}{key}"
        with contextlib.suppress(Exception):  # what is missing or refers to nothing has nothing below it
            yield from _keys(node[key], f"{where}{key}.")


def _started_here(composed: Any) -> None:
    """Give `${hydra:runtime...}` and `${now:...}` the values of a run that was started in this folder."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.utils import setup_globals
    from omegaconf import OmegaConf

    setup_globals()
    OmegaConf.set_readonly(composed.hydra, False)
    composed.hydra.runtime.cwd = composed.hydra.runtime.output_dir = str(Path.cwd())
    HydraConfig.instance().set_config(composed)
