"""`lr: 1e-3` in a YAML file is a text."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable, SubjectError
from gonogo.training.session import Session
from gonogo.training.subject import Subject

# No leading zeros: 007 is a name.
_NUMBER = re.compile(r"[-+]?((0|[1-9][\d_]*)(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
# Digits under these keys are names.
_NAMES = re.compile(r"(?i)(^|_)(versions?|devices?|gpus?|cuda|ids?|names?|tags?|run|port|hosts?|date|sha|commit)(_|$)")

Found = tuple[str, str, int | None, bool]  # path, text, line in the file, is it a number written as text


@check(
    needs=(C.CONFIG,),
    effort=Effort.READ,
    criteria=[at_most("numeric_texts", warn=0.0, source="YAML 1.1 section 10.2.4; the code may still convert")],
)
def number_types(session: Session) -> Observation:
    """Numbers in the configuration are numbers | Numbers in the configuration are texts

    What: count the texts in `config` that look like numbers. In a YAML file only texts without quotes count, because
        quotes say that a text is meant; keys that name things (version, device, id) are left out.
    Why: PyYAML follows YAML 1.1, where 1e-3 without a point is a text. Arithmetic on it fails late, and a comparison
        or a default such as `float(x or 0)` may hide it.
    Fix: write 1.0e-3 or 0.001, or convert where the file is read; remove the quotes where a number is meant.
    Shapes: one path per value
    Units: numeric_texts: {value} (n: values in the configuration)
    Source: https://yaml.org/type/float.html; PyYAML issue 173
    """
    config = session.subject.config
    values = list(_of_mapping(config, "") if isinstance(config, Mapping) else _of_file(Path(config or "")))
    found = [value[:3] for value in values if value[3] and not _is_name(value[0])]
    rows = tuple((path, text, "" if line is None else line) for path, text, line in found)
    table = Table("Texts that look like numbers", ("key", "text", "line"), rows)
    return Observation({"numeric_texts": Measurement(len(found), "{value}", n=len(values))}, (table,))


def _is_name(path: str) -> bool:
    return _NAMES.search(path.rsplit(".", 1)[-1].split("[")[0]) is not None


def _looks_numeric(text: str) -> bool:
    return _NUMBER.fullmatch(text.strip()) is not None


def _of_mapping(node: Any, path: str, above: tuple[int, ...] = ()) -> Iterator[Found]:
    if id(node) in above:  # a configuration may refer to itself
        return
    within = (*above, id(node))
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _of_mapping(value, f"{path}.{key}" if path else str(key), within)
    elif isinstance(node, list | tuple):
        for position, value in enumerate(node):
            yield from _of_mapping(value, f"{path}[{position}]", within)
    else:
        yield path, str(node), None, isinstance(node, str) and _looks_numeric(node)


def _of_file(path: Path) -> Iterator[Found]:
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise NotApplicable(f"config is {path.name!r}; only YAML files and mappings are read")
    try:
        documents = list(yaml.compose_all(path.read_text(encoding="utf-8"), yaml.SafeLoader))
    except OSError as error:
        raise SubjectError(f"config: {path} cannot be read ({error.strerror}); give the path of a YAML file") from None
    except yaml.YAMLError as error:
        raise SubjectError(f"config: {path} is not valid YAML: {' '.join(str(error).split())}") from None
    for document in documents:
        yield from _of_node(document, "", ())


def _of_node(node: Any, path: str, above: tuple[int, ...]) -> Iterator[Found]:
    if id(node) in above:
        return  # an alias of something around it
    above = (*above, id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            yield from _of_node(value, f"{path}.{name}" if path else name, above)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            yield from _of_node(value, f"{path}[{position}]", above)
    elif isinstance(node, yaml.ScalarNode):
        text = node.tag.endswith(":str") and node.style is None and _looks_numeric(node.value)
        yield path, node.value, node.start_mark.line + 1, text


@fault(expect=Status.WARN)
def rate_as_text(subject: Subject) -> Subject:
    """The learning rate is the text that PyYAML reads from 1e-3."""
    return replace(subject, config={"optimizer": {"lr": "1e-3"}})
