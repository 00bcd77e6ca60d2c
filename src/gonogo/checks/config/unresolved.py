"""A placeholder that nobody filled in."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.training.session import Session
from gonogo.training.settings import Setting, is_list, read, settings
from gonogo.training.subject import Subject

_REFERENCE = re.compile(r"\$\{([^${}]+)\}")
_PLACEHOLDER = re.compile(
    r"(?i)(todo|fixme|tbd|xxx+|change[-_ ]?me|replace[-_ ]?me|fill[-_ ]?me|to[-_ ]be[-_ ](set|done|determined))\b"
    r"|<(your|insert|path|add|enter|my)\b[^<>]*>|/path/to/|your[-_](api|entity|project|bucket|username|path|data|dir)"
)


@check(
    needs={C.CONFIG},
    effort=Effort.READ,
    criteria=[
        at_most("missing", fail=0, source="OmegaConf: ??? is a mandatory value that is missing"),
        at_most("placeholders", warn=0, source="ours: a text to be replaced may stand under a key that is not used"),
        at_most("references", warn=0, source="OmegaConf interpolation: the target does not exist"),
    ],
    explains=("config.missing-paths",),
    since="0.1",
)
def unresolved(session: Session) -> Observation:
    """Every value of the configuration is filled in | Values of the configuration are not filled in

    What: counts in the values in effect: `missing`, the mandatory ??? of OmegaConf; `references` to a key or to an
        environment variable that does not exist, without default; `placeholders` such as TODO, changeme or
        /path/to/data. In a YAML file ??? counts as a placeholder, since the command line may still fill it in.
    Why: texts of this kind are truthy, have a length and can be formatted: they pass through the start of a run and
        end as the name of a folder, or as a setting that silently takes its default.
    Fix: fill the value in, give it a default in the file, or delete the key.
    Shapes: one row per value.
    Units: missing, placeholders, references: {value} (n: values read).
    Source: omegaconf.readthedocs.io, mandatory values and interpolations.
    """
    config = session.subject.config
    content = read(config)
    values = [(one, text) for one in settings(content) for text in _texts(one.value)]
    rows = [(one.path, text, kind) for one, text in values for kind in _kinds(one, text, content)]
    if not isinstance(config, Mapping):
        rows = [(key, text, "placeholder" if kind == "missing" else kind) for key, text, kind in rows]
    measured = {"missing": "missing", "placeholders": "placeholder", "references": "reference"}
    return Observation(
        {
            name: Measurement(sum(row[2] == kind for row in rows), "{value}", n=len(values))
            for name, kind in measured.items()
        },
        (Table("Values that are not filled in", ("key", "value", "kind"), tuple(rows)),),
    )


def _texts(value: Any) -> list[Any]:
    return list(value) if is_list(value) else [value]


def _kinds(one: Setting, text: Any, content: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(text, str) or re.search(
        r"token|vocab|char|alphabet|unk|text|prompt|pattern|note|comment", one.name
    ):
        return  # data, not a value
    if text.strip() == "???":
        yield "missing"
    elif any(_is_open(reference, content) for reference in _REFERENCE.findall(text)):
        yield "reference"
    elif _PLACEHOLDER.match(text.strip()) or re.search(r"/path/to/|<your[-_ ]", text):
        yield "placeholder"


def _is_open(reference: str, content: Mapping[str, Any]) -> bool:
    """Does a reference lead nowhere? Those of unknown resolvers, and relative ones, are not judged."""
    resolver, colon, rest = reference.partition(":")
    if colon:
        return resolver in ("oc.env", "env") and "," not in rest and rest.strip() not in os.environ
    if reference.startswith(".") or not re.fullmatch(r"[\w.\[\]]+", reference):
        return False
    node: Any = content
    for key in re.findall(r"\w+", reference):
        if isinstance(node, Mapping):
            keys = {str(name): name for name in node}
            if key not in keys:
                return True
            node = node[keys[key]]
        elif is_list(node) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        else:
            return not isinstance(node, str)  # through another reference: not followed
    return False


@fault()
def mandatory_value(subject: Subject) -> Subject:
    """A mandatory value was never given."""
    return replace(subject, config={**read(subject.config), "data_dir": "???"})


@fault(expect=Status.WARN)
def unset_variable(subject: Subject) -> Subject:
    """The name of a folder comes from an environment variable that is not set."""
    return replace(subject, config={**read(subject.config), "cache": "${oc.env:GONOGO_EXAMPLE_OF_AN_UNSET_VARIABLE}/x"})
