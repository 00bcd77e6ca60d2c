"""Pickles of data without the power of pickles: arrays, numbers, text, lists and dicts are read, no code runs.

Unpickling runs whatever the file says. Here a file may name only what NumPy's arrays need, and even that is not handed
out: small builders of our own take its place, since a pickle can tell a real dtype or array to lie about its memory.
What the file would take is predicted before anything of it is read.
"""

import hashlib
import math
import pickle
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gonogo.audit.memory import free_memory, readable
from gonogo.audit.pickle_scan import DEEPEST, Contents, scan
from gonogo.errors import SubjectError

_SIMPLE = re.compile(r"[<>|=]?([biufcSUO?]\d{0,9})")
_KINDS = {
    b"PK\x03\x04": "a zip archive, as torch.save and numpy.savez write",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "compressed by gzip",
    b"\x93NUMPY": "a .npy file",
    b"version https://git-lfs": "a pointer of Git LFS: run `git lfs pull` to have the file itself",
}


def load(
    path: Path, allowed: "Mapping[str, Builder] | None" = None, *, folder: Path | None = None, share: float = 0.5
) -> Any:
    """What a pickle of plain data holds; arrays are read-only and share the memory of what was read.

    Args:
        path: The file.
        allowed: What the file may name, by 'module.name', and what builds it; None: NUMPY.
        folder: Where the file must be after its links are followed; None: where `path` says that it is.
        share: How much of the free memory it may take.

    Raises:
        SubjectError: It names something else, needs too much memory, lies elsewhere, or cannot be read.
    """
    allowed = NUMPY if allowed is None else allowed
    with _opened(path, path.parent if folder is None else folder) as file:
        try:
            size = _size(file)
            contents = scan(file, size)
            _allow(contents, allowed, share)
            file.seek(0)
            return _plain(_Unpickler(file, allowed).load(), budget=1000 * size + 10**6)
        except SubjectError as error:
            raise SubjectError(f"{path}: {error}{_kind(file)}") from None
        except Exception as error:  # a damaged file fails in any way at all
            raise SubjectError(f"{path}: the pickle is damaged ({type(error).__name__}: {error})") from None


def predict(path: Path) -> Contents:
    """What a pickle would take and what it names; no array of it is read.

    Raises:
        SubjectError: It is truncated, damaged or no pickle.
    """
    with _opened(path, path.parent) as file:
        try:
            return scan(file, _size(file))
        except SubjectError as error:
            raise SubjectError(f"{path}: {error}{_kind(file)}") from None


def sha256(path: Path) -> str:
    """The digest of a file, in hex; reads all of it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _opened(path: Path, folder: Path) -> BinaryIO:
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(folder.resolve(strict=True)):
            raise SubjectError(f"{path} is a link to {real}, outside {folder}; give the file itself: {real}")
        if not stat.S_ISREG(real.stat().st_mode):
            raise SubjectError(f"{path} is no file; give the path of a pickle")
        return real.open("rb")
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise SubjectError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _size(file: BinaryIO) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    if not size:
        raise SubjectError("the file is empty; copy or download it again")
    return size


def _kind(file: BinaryIO) -> str:
    """'; it looks like ...' for files that are often taken for a pickle."""
    file.seek(0)
    start = file.read(32)
    found = [words for magic, words in _KINDS.items() if start.startswith(magic)]
    return f"; it looks like {found[0]}" if found else ""


def _allow(contents: Contents, allowed: "Mapping[str, Builder]", share: float) -> None:
    foreign = [name for name in contents.names if name not in allowed]
    if foreign:
        raise SubjectError(
            f"it asks for {', '.join(foreign[:5])}, and loading that could run any code; refused. Only NumPy arrays, "
            "numbers, text, lists and dicts are read: write the file again with those alone"
        )
    free = free_memory()
    if contents.memory > share * free:
        raise SubjectError(
            f"it would take {readable(contents.memory)} of memory, and {readable(free)} are free, of which {share:.0%} "
            "may be used; close other programs, use a machine with more memory, or split the file"
        )


class Builder:
    """Stands for a class or function that a pickle may name; a pickle cannot change it, as it could a function."""

    __slots__ = ("_build",)

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build

    def __call__(self, *args: Any) -> Any:
        return self._build(*args)

    def __setstate__(self, state: Any) -> None:
        raise SubjectError("it tries to change what it may only use")


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, allowed: Mapping[str, Builder]) -> None:
        super().__init__(file, encoding="latin1")  # what Python 2 wrote as text
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Builder:  # type: ignore[override]
        found = self._allowed.get(f"{module}.{name}")
        if found is None:
            raise SubjectError(f"it asks for {module}.{name}, and loading that could run any code; refused")
        return found


class _Dtype:
    """A plain dtype: no fields, no flags from the file."""

    __slots__ = ("real",)

    def __init__(self, code: Any, *_: Any) -> None:
        match = _SIMPLE.fullmatch(code) if isinstance(code, str) else None
        if match is None:
            raise SubjectError(f"it holds an array of type {str(code)[:40]!r}; only numbers, text and objects are read")
        self.real = np.dtype(match[1])

    def __setstate__(self, state: Any) -> None:
        order, *layout = state[1:5]
        if any(part is not None for part in layout):
            raise SubjectError("it holds a structured array; only arrays of numbers, text and objects are read")
        if order in ("<", ">"):
            self.real = self.real.newbyteorder(order)


class _Array:
    """An array that is yet to be filled, as protocols before 5 write it."""

    __slots__ = ("value",)

    def __init__(self, *_: Any) -> None:
        self.value = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        self.value = _filled(raw, dtype, shape, "F" if fortran else "C")


def _filled(raw: Any, dtype: Any, shape: Any, order: Any = "C") -> np.ndarray[Any, Any]:
    if not isinstance(dtype, _Dtype):
        raise SubjectError("it holds an array without a type")
    count = math.prod(shape)
    if dtype.real.hasobject:
        values = np.empty(len(raw), dtype=object)
        for place, item in enumerate(raw):
            values[place] = item
        held, needed = len(values), count
    else:
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        held, needed = len(raw), count * max(dtype.real.itemsize, 1)
        values = np.frombuffer(raw, dtype.real) if held else np.empty(0, dtype.real)
    if held != needed or count < 0:
        raise SubjectError(f"an array of shape {tuple(shape)} needs {needed} bytes or items and has {held}: damaged")
    return values.reshape(shape, order=order)


def _scalar(dtype: Any, raw: Any = b"") -> Any:
    return raw if dtype.real.hasobject else _filled(raw, dtype, (1,))[0]


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    if encoding != "latin1":
        raise SubjectError(f"it encodes text as {str(encoding)[:40]!r}; only the bytes of arrays (latin1) are read")
    return text.encode("latin1")


def _nothing() -> bytes:
    return b""


NUMPY: Mapping[str, Builder] = {
    "numpy.ndarray": Builder(_Array),
    "numpy.dtype": Builder(_Dtype),
    "_codecs.encode": Builder(_encoded),
    "__builtin__.bytes": Builder(_nothing),
    "collections.OrderedDict": Builder(dict),
    **{
        f"numpy.{core}.{name}": Builder(build)
        for core in ("core", "_core")
        for name, build in (
            ("multiarray._reconstruct", _Array),
            ("multiarray.scalar", _scalar),
            ("numeric._frombuffer", _filled),
        )
    },
}


def _plain(given: Any, budget: int) -> Any:
    """The same with arrays in place of those that were yet to be filled; refuses what unfolds without end."""
    return _Unfolded(budget).of(given, 0)[0]


class _Unfolded:
    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._known: dict[int, tuple[Any, int, Any]] = {}  # the original is kept, so that its id stays its own

    def of(self, given: Any, depth: int) -> tuple[Any, int]:
        """(the plain object, entries when everything shared is written out)."""
        if not isinstance(given, dict | list | tuple | _Array | np.ndarray | set | frozenset):
            return given, 1
        if id(given) in self._known:
            return self._known[id(given)][:2]
        if depth > DEEPEST:
            raise SubjectError(f"it holds containers more than {DEEPEST} deep, or one that holds itself")
        made, entries = self._container(given, depth + 1)
        if entries > self._budget:
            raise SubjectError(f"it unfolds to more than {self._budget} entries (a pickle bomb)")
        self._known[id(given)] = made, entries, given
        return made, entries

    def _container(self, given: Any, depth: int) -> tuple[Any, int]:
        if isinstance(given, dict):
            values = {key: self.of(value, depth) for key, value in given.items()}
            return {key: value for key, (value, _) in values.items()}, 1 + sum(n + 1 for _, n in values.values())
        if isinstance(given, list | tuple):
            items = [self.of(item, depth) for item in given]
            return type(given)(item for item, _ in items), 1 + sum(n for _, n in items)
        array = given.value if isinstance(given, _Array) else given
        if isinstance(array, np.ndarray) and array.dtype.hasobject:
            items = [self.of(item, depth) for item in array.flat]
            for place, (item, _) in enumerate(items):
                array.flat[place] = item
            return array, 1 + sum(n for _, n in items)
        return array, 1
