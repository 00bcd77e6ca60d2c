"""What exactly was measured: code, data, versions and hardware."""

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from gonogo.errors import SubjectError

PACKAGES = ("torch", "numpy", "lightning", "transformers", "accelerate", "peft", "hydra-core", "torchvision")


def of_machine() -> dict[str, Any]:
    """Hardware and software of this machine, without importing anything heavy."""
    versions = {name: found for name in PACKAGES if (found := _version(name))}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": f"{platform.machine()}, {psutil.cpu_count()} logical cores",
        "memory": f"{psutil.virtual_memory().total / 1e9:.1f} GB",
        **versions,
    }


def of_code(folder: Path) -> dict[str, str]:
    """Commit and a digest of what is not committed, for the git repository around a folder."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return {"git": "not a git repository"}
    difference = _git(folder, "diff", "HEAD")
    state = f"with changes {_digest(difference)}" if difference else "clean"
    return {"git commit": commit, "work tree": state}


def of_settings(overrides: Mapping[str, Any], profile: Mapping[str, Any]) -> dict[str, str]:
    """Digests of what the user chose."""
    return {"overrides": json.dumps(overrides), "profile digest": _digest(json.dumps(profile, sort_keys=True))}


def of_training(subject: Any, device: Any) -> dict[str, str]:
    """Facts that only the worker knows."""
    import torch

    content = _text_of(subject.config)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    return {"device": name, "threads": str(torch.get_num_threads()), "configuration digest": _digest(content)}


def _text_of(config: Any) -> str:
    """A configuration as text, whatever it holds.

    Raises:
        SubjectError: It is the path of a file that cannot be read.
    """
    if isinstance(config, str | Path):
        try:
            return Path(config).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise SubjectError(f"config: {config} cannot be read ({why}); give a mapping, or a YAML file") from None
    try:
        return json.dumps(config, default=str)
    except (TypeError, ValueError):  # keys that are no texts, references in a circle
        return repr(config)


def of_data(session: Any) -> dict[str, str]:
    """Number of batches (where known) and a digest of the first batch, by split."""
    from gonogo.training import batch, fingerprint

    found = {}
    for name in session.subject.splits:
        try:
            length = f"{len(session.loader(name))} batches"
        except TypeError:
            length = "unknown length"
        first = session.batches(name, limit=1)[0]
        content = [(path, fingerprint.digest(tensor)) for path, tensor in sorted(batch.tensors(first).items())]
        found[f"data {name}"] = f"{length}, first batch {_digest(repr(content))}"
    return found


def command() -> str:
    """The command line of this process."""
    return " ".join(["gonogo", *sys.argv[1:]])


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _git(folder: Path, *words: str) -> str:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", *words],  # noqa: S607
            cwd=folder,
            env=environment,
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
