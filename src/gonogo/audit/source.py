"""The user's own source files: those that define the subject's functions, and what these import from their folder.

Libraries are never read, and no link is followed out of the folder.
"""

import ast
import functools
import linecache
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import gonogo
from gonogo.errors import NotApplicable
from gonogo.training.subject import Subject

_HERE = Path(gonogo.__file__).resolve().parent
_TOYS = _HERE / "testing" / "toys"
_MOST_FILES, _MOST_TEXT = 200, 1_000_000
_FIELDS = ("model", "loss", "optimizer", "step", "evaluate", "predict", "schedule", "save", "load", "with_config")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Source:
    """One file, parsed; `name` is how reports call it."""

    path: str
    name: str
    text: str
    tree: ast.Module

    def place(self, node: ast.AST) -> str:
        """file.py:12, where a person finds a node."""
        return f"{self.name}:{getattr(node, 'lineno', 1)}"

    def line(self, node: ast.AST) -> str:
        """The line on which a node ends, with its comment."""
        lines = self.text.splitlines()
        at = getattr(node, "end_lineno", None) or 1
        return lines[at - 1] if at <= len(lines) else ""


def sources(subject: Subject) -> tuple[Source, ...]:
    """The files of the subject's own code.

    Raises:
        NotApplicable: There are none that can be read.
    """
    found: dict[str, Source] = {}
    waiting = [(code.co_filename, names) for code, names in roots(subject)]
    waiting += [(path, names) for given in _given(subject) for path, names in _of_class(given)]
    seen: set[str] = set()
    while waiting and len(found) < _MOST_FILES:
        path, names = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        source = _parsed(path) if is_own(path) else None
        if source is not None:
            found[path] = source
            waiting += [(other, its) for other, its in _neighbours(names) if _same_folder(path, other)]
    if not found:
        raise NotApplicable("no source file of the subject's own code can be read")
    return tuple(found.values())


def roots(subject: Subject) -> list[tuple[CodeType, Mapping[str, Any]]]:
    """The code of the functions that the subject is made of, each with the names of its module."""
    functions = [given for given in _given(subject) if isinstance(given, FunctionType)]
    return [(function.__code__, function.__globals__) for function in functions]


def _given(subject: Subject) -> list[Any]:
    """Functions and classes in the subject's fields, within partials, methods and closures, too."""
    waiting = [getattr(subject, name) for name in _FIELDS]
    for split in subject.splits.values():
        waiting += [split.batches, split.groups]
    found: list[Any] = []
    known: set[int] = set()
    while waiting and len(found) < 500:
        one = waiting.pop(0)
        if one is None or id(one) in known:
            continue
        known.add(id(one))
        if isinstance(one, FunctionType | type):
            found.append(one)
        waiting += _inside(one)
    return found


def _inside(one: Any) -> list[Any]:
    if isinstance(one, functools.partial):
        return [one.func, *one.args, *one.keywords.values()]
    if isinstance(one, MethodType):
        return [one.__func__, type(one.__self__)]
    if isinstance(one, FunctionType):
        return [getattr(one, "__wrapped__", None), *_cells(one)]
    if type(one) is dict:
        return [value for value in one.values() if callable(value)]
    if isinstance(one, type | str | bytes | int | float | list | tuple | set):
        return []
    return [type(one)]


def _cells(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            content = cell.cell_contents
        except ValueError:  # not bound yet
            continue
        if callable(content) or type(content) is dict or hasattr(content, "dataset"):
            yield content
            yield type(getattr(content, "dataset", None))


def _of_class(given: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(given, type):
        for value in vars(given).values():
            if isinstance(value, FunctionType):
                yield value.__code__.co_filename, value.__globals__
                return


def _neighbours(names: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(file, names) of the modules behind the imported names."""
    for value in list(names.values()):
        if isinstance(value, ModuleType) and isinstance(getattr(value, "__file__", None), str):
            yield str(value.__file__), vars(value)
        elif isinstance(value, FunctionType):
            yield value.__code__.co_filename, value.__globals__
        else:
            yield from _of_class(value)


def is_own(path: str) -> bool:
    """Is a file the user's own, neither Python's nor a library's?"""
    if path.startswith("<"):
        return bool(linecache.getlines(path))  # a cell of a notebook
    real = Path(path).resolve()
    libraries = (Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    if {"site-packages", "dist-packages"} & set(real.parts) or any(real.is_relative_to(each) for each in libraries):
        return False
    return not real.is_relative_to(_HERE) or real.is_relative_to(_TOYS)


def _same_folder(path: str, other: str) -> bool:
    if path.startswith("<") or other.startswith("<"):
        return path.startswith("<") and other.startswith("<")
    return Path(other).resolve().is_relative_to(_top(Path(path).resolve()))


def _top(path: Path) -> Path:
    """The folder of a file's outermost package, or of the script."""
    folder = path.parent
    while (folder / "__init__.py").is_file() and (folder.parent / "__init__.py").is_file():
        folder = folder.parent
    return folder


@functools.cache
def _parsed(path: str) -> Source | None:
    text = "".join(linecache.getlines(path))
    try:
        return Source(path, Path(path).name, text, ast.parse(text)) if 0 < len(text) <= _MOST_TEXT else None
    except (SyntaxError, ValueError, RecursionError):
        return None


def define(name: str, text: str) -> dict[str, Any]:
    """The names that a text of Python defines, with a source that can be read as a notebook's cell. For faults."""
    path = f"<{name}>"
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    names: dict[str, Any] = {"__name__": name}
    exec(compile(text, path, "exec"), names)  # noqa: S102 - a text of ours
    return names
