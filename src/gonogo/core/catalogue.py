"""All known checks: found by walking modules, or read from the index that the package ships."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata, resources
from inspect import getmembers, isfunction
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter

from gonogo.core.check import Check, Fault
from gonogo.errors import CheckError, ProfileError, did_you_mean

GROUP = "gonogo.checks"  # the entry-point group of plug-ins
PACKAGE = "gonogo.checks"
INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class Broken:
    """A plug-in that cannot be used, and why: a row of every list and report that would have shown its checks."""

    id: str
    error: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Checks by id, in the order in which they run when nothing else decides."""

    checks: tuple[Check, ...]
    broken: tuple[Broken, ...] = ()

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def __getitem__(self, check_id: str) -> Check:
        for check in self.checks:
            if check.id == check_id:
                return check
        ids = [check.id for check in self.checks]
        raise ProfileError(f"there is no check {check_id!r}.{did_you_mean(check_id, ids)} `gonogo list` shows all.")

    def __add__(self, other: "Catalogue") -> "Catalogue":
        return Catalogue(self.checks + other.checks, self.broken + other.broken)


_CODEC = TypeAdapter(Catalogue)


def load_index() -> Catalogue:
    """The shipped checks, read without importing any of them."""
    return from_json(resources.files(PACKAGE).joinpath(INDEX).read_text(encoding="utf-8"))


def to_json(catalogue: Catalogue) -> str:
    """The catalogue as JSON text, one line per nesting level."""
    return _CODEC.dump_json(catalogue, indent=1).decode() + "\n"


def from_json(text: str) -> Catalogue:
    """The catalogue that `to_json` wrote."""
    return _CODEC.validate_json(text)


def discover(package: str = PACKAGE, prefix: str = "") -> Catalogue:
    """Import every module below `package` and collect its checks.

    Raises:
        CheckError: Two checks share an id, or a check file declares no fault.
    """
    checks: list[Check] = []
    for module in _modules(importlib.import_module(package)):
        checks += [replace(check, id=prefix + check.id) for check in _checks_in(module)]
    ids = [check.id for check in checks]
    for check_id in ids:
        if ids.count(check_id) > 1:
            raise CheckError(f"{package}: two checks have the id {check_id!r}; keep one check per file")
    return Catalogue(tuple(checks))


def plugin_names() -> tuple[str, ...]:
    """Names of the installed plug-ins; nothing is imported."""
    return tuple(sorted(point.name for point in metadata.entry_points(group=GROUP)))


def discover_plugins() -> Catalogue:
    """Checks of the installed plug-ins, ids prefixed with 'name/'; one that cannot be imported becomes a Broken row."""
    found = Catalogue(())
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
        found += _guarded(point.name, point.value)
    return found


def _guarded(name: str, package: str) -> Catalogue:
    try:
        return discover(package, prefix=f"{name}/")
    except BaseException as error:  # a plug-in may raise anything, SystemExit included
        if isinstance(error, KeyboardInterrupt):
            raise
        return Catalogue((), (Broken(f"{name}/", f"{package}: {type(error).__name__}: {error}"),))


def implementation(check: Check) -> Callable[..., Any]:
    """The function that measures; imports its module."""
    return getattr(importlib.import_module(check.module), check.name)


def fault_function(check: Check, fault: Fault) -> Callable[..., Any]:
    """The function that damages a subject; imports its module."""
    return getattr(importlib.import_module(check.module), fault.name)


def _modules(root: ModuleType) -> Iterator[ModuleType]:
    if not hasattr(root, "__path__"):
        yield root
        return
    found = pkgutil.walk_packages(root.__path__, root.__name__ + ".", onerror=_reraise)
    for info in sorted(found, key=lambda info: info.name):
        if not info.ispkg:
            yield importlib.import_module(info.name)


def _reraise(_: str) -> None:
    """Without this, walk_packages leaves out a package that cannot be imported, and says nothing."""
    raise


def _checks_in(module: ModuleType) -> list[Check]:
    own = [function for _, function in getmembers(module, isfunction) if function.__module__ == module.__name__]
    marks = [vars(function) for function in own]
    faults: tuple[Fault, ...] = tuple(mark["fault"] for mark in marks if "fault" in mark)
    checks: list[Check] = [replace(mark["check"], faults=faults) for mark in marks if "check" in mark]
    if checks and not faults:
        raise CheckError(f"{module.__name__}: the check declares no fault; add one with @fault() in the same file")
    return checks
