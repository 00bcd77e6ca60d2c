"""The file says one thing, the run is given another."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.settings import (
    Setting,
    is_choice,
    is_core,
    is_list,
    is_mechanism,
    is_plumbing,
    number,
    read,
    settings,
)
from gonogo.training.subject import Subject

_MACHINE = frozenset(
    ("log", "logging", "debug", "verbose", "wandb", "resume", "progress", "print", "cuda", "gpu", "cpu")
)


@check(
    needs={C.CONFIG},
    effort=Effort.READ,
    criteria=[
        at_most("overwritten", fail=0, source="the subject's own file; overrides are declared"),
        at_most("different", warn=0, source="ours: code may compute such values (paths, scaled rates, step counts)"),
        at_most("unread", warn=0, source="ours: a key of the file that never arrives"),
    ],
    explains=("config.dead-keys", "config.readback"),
    since="0.1",
)
def provenance(session: Session) -> Observation:
    """The run has the values of its file | The run has other values than its file

    What: compares `Subject(config_file=...)`, the YAML file that the run is said to follow, with `Subject(config=...)`,
        the values in effect. `overwritten` counts flags, lists, choices and training values that differ and are not
        among `Subject(overrides=...)`; `different` counts other values, and those that a scaling by a power of two
        explains; `unread` keys of the file that the run does not have. Paths, names, seeds and devices are left out.
    Why: defaults of an argument parser that overwrite what the file says turn an experiment into another one, and its
        log names the file all the same.
    Fix: give the parser's options no defaults (argparse.SUPPRESS), put the file over the defaults and the command line
        over the file; name what was meant to differ in Subject(overrides=...).
    Shapes: one row per key.
    Units: overwritten, different, unread: {key} (n: keys of the file).
    Source: docs.python.org argparse, argument_default=SUPPRESS.
    """
    if session.subject.config_file is None:
        raise NotApplicable("no file is named from which the configuration comes: Subject(config_file=...)")
    file = [one for one in settings(read(session.subject.config_file)) if _counts(one)]
    effective = settings(read(session.subject.config))
    meant = {_normal(key.split("=")[0].lstrip("-+~")) for key in session.subject.overrides}
    rows = list(_compared(file, effective, meant))
    counts = {kind: len([row for row in rows if row[3] == kind]) for kind in ("overwritten", "different", "unread")}
    table = Table("File and run", ("key", "in the file", "in effect", "is"), tuple(rows))
    return Observation({kind: Measurement(count, "{key}", n=len(file)) for kind, count in counts.items()}, (table,))


def _compared(
    file: Sequence[Setting], effective: Sequence[Setting], meant: set[str]
) -> Iterator[tuple[str, str, str, str]]:
    for one in file:
        if {_normal(one.path), _normal(one.name)} & meant:
            continue
        other = _partner(one, file, effective)
        if other is None:
            above = [each for each in effective if each.name in [str(key).lower() for key in one.keys]]
            if not above:  # else its section has become something else: a text, or nothing
                yield one.path, str(one.value), "", "unread"
        elif not _equal(one.value, other.value):
            yield one.path, str(one.value), str(other.value), "overwritten" if _weighs(one, other) else "different"


def _counts(one: Setting) -> bool:
    open_ = isinstance(one.value, str) and ("${" in one.value or "???" in one.value or "/" in one.value)
    flag = isinstance(one.value, bool) and not one.words & _MACHINE  # an average or a precision is no plumbing here
    return not (one.value is None or open_ or {"hydra", "defaults"} & one.words) and (flag or not is_plumbing(one))


def _partner(one: Setting, file: Sequence[Setting], effective: Sequence[Setting]) -> Setting | None:
    """The same path; or the same name, where one side is flat and the name is there once on both."""
    same = [other for other in effective if _normal(other.path) == _normal(one.path)]
    if same:
        return same[0]
    named = [other for other in effective if _normal(other.name) == _normal(one.name)]
    flat = len(named) == 1 and 1 in (len(one.keys), len(named[0].keys))
    return named[0] if flat and len([each for each in file if _normal(each.name) == _normal(one.name)]) == 1 else None


def _weighs(one: Setting, other: Setting) -> bool:
    """Does no code compute such a value from the one in the file?"""
    if isinstance(one.value, bool) or is_list(one.value) or is_choice(one):
        return True
    told, used = number(one.value), number(other.value)
    if told is None or used is None or not (is_core(one) or is_mechanism(one)):
        return False
    if one.meaning not in ("rate", "batch", "accumulation") or told * used <= 0:
        return True
    halves = 2 * math.log2(used / told)
    return abs(halves - round(halves)) > 1e-6


def _equal(one: Any, other: Any) -> bool:
    if is_list(one) and is_list(other):
        return len(one) == len(other) and all(map(_equal, one, other))
    told, used = number(one), number(other)
    if told is not None and used is not None:
        return math.isclose(told, used, rel_tol=1e-9, abs_tol=1e-15) or (told != told and used != used)
    return one == other or str(one).lower() == str(other).lower()


def _normal(path: str) -> str:
    return path.lower().replace("-", "_")


@fault(toy="multimodal")
def defaults_win(subject: Subject) -> Subject:
    """The parser's default list of streams overwrites the list of the file."""
    if "streams" not in read(subject.config):
        raise NotApplicable("the configuration lists no streams")
    return replace(subject, config_file=subject.config, config={**read(subject.config), "streams": ["text"]})


@fault(toy="configured", expect=Status.WARN)
def section_not_read(subject: Subject) -> Subject:
    """A key of the file never arrives."""
    return replace(subject, config_file={**read(subject.config), "mixup": 0.4})
