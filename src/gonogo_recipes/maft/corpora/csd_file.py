"""One .csd file of the CMU Multimodal SDK, which is HDF5.

Its layout is `<name>/data/<video>/features` [n, columns] and `.../intervals` [n, 2] in seconds. Files in the wild lack
metadata, or have a key that is two keys run together; none of it is needed to read them. HDF5 can point out of its
file, by links, external storage and virtual data; such files are refused, never followed.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Shaped

from gonogo.audit.memory import free_memory, readable
from gonogo.errors import SubjectError

# The SDK's list of keys lacks a comma, so two of them are written as one.
_JOINED = {"dimension namescomputational sequence version": "dimension names"}
_LARGE = 2**26  # bytes of one read, above which the free memory is looked at first
_LAYOUT = "the layout is <name>/data/<video>/features and intervals"


@dataclass(slots=True)
class Csd:
    """Features of many videos, each row with the time that it covers. The file is opened once in each process."""

    path: Path
    name: str
    videos: frozenset[str]
    width: int  # columns of the features
    is_text: bool  # features are words
    _open: dict[int, h5py.File] = field(default_factory=dict, repr=False)

    def intervals(self, video: str) -> Float[np.ndarray, "n 2"]:
        """Start and end of every row of a video, in seconds.

        Raises:
            SubjectError: They are not [n, 2] numbers, end before they start, or are not one for each row of features.
        """
        features, times = (self._dataset(video, name) for name in ("features", "intervals"))
        if features.ndim != 2 or features.shape[1] != self.width or times.shape != (len(features), 2):
            found = f"features {list(features.shape)} and intervals {list(times.shape)}"
            raise SubjectError(f"{self.path}, {video}: {found}; [n, {self.width}] and [n, 2] were expected")
        found = _read(times, slice(None), self.path)
        if found.dtype.kind not in "iuf" or not (found[:, 0] <= found[:, 1]).all():
            raise SubjectError(f"{self.path}, {video}: an interval ends before it starts, or is no number")
        return found.astype(np.float64)

    def features(self, video: str, rows: slice = slice(None)) -> Shaped[np.ndarray, "n columns"]:
        """Some rows of a video; only these are read."""
        return _read(self._dataset(video, "features"), rows, self.path)

    def _dataset(self, video: str, name: str) -> h5py.Dataset:
        process = os.getpid()  # an open file must not be shared with the workers of a loader
        if process not in self._open:
            self._open[process] = h5py.File(self.path, "r")
        data = _group(_group(self._open[process], self.name, self.path), "data", self.path)
        return _dataset(_group(data, video, self.path), name, self.path)

    def __getstate__(self) -> dict[str, Any]:
        kept = ("path", "name", "videos", "width", "is_text")
        return {**{name: getattr(self, name) for name in kept}, "_open": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def open_csd(path: Path, folder: Path) -> Csd:
    """The sequence in a file of a folder.

    Raises:
        SubjectError: The file is a link out of the folder, no HDF5, or not laid out as the SDK does.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise SubjectError(f"{path} is a link to {path.resolve()}, outside {folder}; put the file itself there")
    try:
        with h5py.File(path, "r") as file:
            names = list(file)
            if len(names) != 1:
                raise SubjectError(f"{path}: one group at the top was expected, found {names[:8]}; {_LAYOUT}")
            data = _group(_group(file, names[0], path), "data", path)
            videos = frozenset(data)
            if not videos:
                raise SubjectError(f"{path}: there is no video in it; copy or download it again")
            features = _dataset(_group(data, min(videos), path), "features", path)
            width = features.shape[1] if features.ndim == 2 else 0
            return Csd(path, names[0], videos, width, features.dtype.kind in "SO")
    except (OSError, RuntimeError) as error:
        raise SubjectError(f"{path}: it cannot be read as HDF5 ({error}); copy or download it again") from None


def metadata(csd: Csd) -> dict[str, Any]:
    """What the file says about itself; what is missing or unreadable is left out."""
    found: dict[str, Any] = {}
    with h5py.File(csd.path, "r") as file:
        root = _group(file, csd.name, csd.path)
        for key in _group(root, "metadata", csd.path) if "metadata" in list(root) else ():
            try:
                value = json.loads(_dataset(_group(root, "metadata", csd.path), str(key), csd.path)[0])
            except (ValueError, TypeError, LookupError, SubjectError):
                continue
            found[_JOINED.get(str(key), str(key))] = value
    return found


def _read(dataset: h5py.Dataset, rows: slice, path: Path) -> np.ndarray:
    """Some rows; a file can declare more than it holds, so large reads are weighed first."""
    start, stop, _ = rows.indices(len(dataset))
    size = max(stop - start, 0) * dataset.nbytes // max(len(dataset), 1)
    if size > _LARGE and size > (free := free_memory()) / 2:
        raise SubjectError(f"{path}: {dataset.name} needs {readable(size)} of memory and {readable(free)} are free")
    return dataset[rows]


def _group(parent: h5py.Group, name: str, path: Path) -> h5py.Group:
    found = _child(parent, name, path)
    if not isinstance(found, h5py.Group):
        raise SubjectError(f"{path}: {parent.name}/{name} is no group; {_LAYOUT}")
    return found


def _dataset(parent: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    found = _child(parent, name, path)
    if not isinstance(found, h5py.Dataset):
        raise SubjectError(f"{path}: {parent.name}/{name} is no data set; {_LAYOUT}")
    if found.is_virtual or found.external:
        raise SubjectError(f"{path}: {found.name} is stored in another file; only what is in the file itself is read")
    return found


def _child(parent: h5py.Group, name: str, path: Path) -> Any:
    try:
        link = parent.id.links.get_info(name.encode())  # asking in any other way would follow it
    except (KeyError, RuntimeError):
        raise SubjectError(f"{path}: {parent.name} has no {name!r}; {_LAYOUT}") from None
    if link.type != h5py.h5l.TYPE_HARD:  # type: ignore[attr-defined]
        raise SubjectError(f"{path}: {parent.name}/{name} is a link elsewhere; only what is in the file itself is read")
    return parent[name]
