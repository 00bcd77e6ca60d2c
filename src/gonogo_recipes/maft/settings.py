"""A YAML file or a mapping, with overrides -> Settings; everything that is wrong is said at once."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from gonogo.core.profile import parse_yaml
from gonogo.errors import SubjectError, did_you_mean
from gonogo_recipes.maft import settings_presets
from gonogo_recipes.maft.settings_fields import (
    SECTIONS,
    SHARED,
    DataSettings,
    ModelSettings,
    Says,
    Size,
    TrainingSettings,
)
from gonogo_recipes.maft.settings_fields import Settings as Settings
from gonogo_recipes.maft.settings_rules import Problem, listed, problems

__all__ = ["DataSettings", "ModelSettings", "Settings", "TrainingSettings", "load"]

CONFIG = Path(__file__).parent / "config.yaml"
_Content = dict[str, Any]


def load(source: Mapping[str, Any] | Path | str | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings of a mapping or YAML file; what it does not give comes from its size.

    Args:
        source: As in config.yaml: size, and the sections model, training and data. None: the defaults.
        overrides: By dotted path: {"model.num_heads": 8}. They win over the source.

    Raises:
        SubjectError: Every value that is wrong, each with its path, its rule and what would do.
        ProfileError: The file is no YAML mapping.
    """
    given = _merged(_read(source), _nested(overrides or {}))
    found = list(_unknown(given))
    size = given.get("size", settings_presets.DEFAULT)
    if size not in get_args(Size):
        found.append(Problem("size", f"{_short(size)} was found", f"{listed(get_args(Size))} would do"))
        size = settings_presets.DEFAULT
    settings, wrong = _sections(size, _merged(settings_presets.PRESETS[size], _mappings(given)))
    found += [*wrong, *problems(settings, {problem.path for problem in wrong})]
    if found:
        head = f"{len(found)} setting{'s' * (len(found) > 1)} cannot be used:"
        raise SubjectError("\n".join([head, *(f"  {problem}" for problem in found)]))
    return settings


def _read(source: Mapping[str, Any] | Path | str | None) -> _Content:
    if source is None or isinstance(source, Mapping):
        return {str(key): value for key, value in (source or {}).items()}
    try:
        return parse_yaml(Path(source).read_text(encoding="utf-8"), str(source))
    except OSError as error:
        raise SubjectError(f"settings: {source} cannot be read ({error.strerror}); give a YAML file") from None
    except UnicodeDecodeError as error:
        raise SubjectError(f"settings: {source} is not UTF-8 text ({error.reason}); give a YAML file") from None


def _nested(overrides: Mapping[str, Any]) -> _Content:
    """{"model.num_heads": 8} as {"model": {"num_heads": 8}}."""
    content: _Content = {}
    for path, value in overrides.items():
        section, dot, name = str(path).partition(".")
        content = _merged(content, {section: {name: value} if dot else value})
    return content


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> _Content:
    """One mapping; where both have a mapping, its keys are merged likewise."""
    both = {key: _merged(below[key], value) for key, value in above.items() if _is_mapping(below.get(key), value)}
    return {**below, **above, **both}


def _is_mapping(*values: Any) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def _mappings(content: Mapping[str, Any]) -> _Content:
    """The sections that can be read."""
    return {
        name: {str(key): value for key, value in content[name].items()}
        for name in SECTIONS
        if _is_mapping(content.get(name))
    }


def _unknown(content: Mapping[str, Any]) -> Iterator[Problem]:
    for key, value in content.items():
        if key in SECTIONS and not _is_mapping(value) and value is not None:
            yield Problem(key, f"{_short(value)} was found", f"a mapping such as {key}: {{...}} would do")
        elif key not in (*SECTIONS, "size"):
            yield _unknown_key("", key)


def _unknown_key(section: str, key: str) -> Problem:
    """A key that nothing reads; the nearest is looked for in its section first, then everywhere."""
    elsewhere = [f"{name}.{field}" for name, model in SECTIONS.items() for field in model.model_fields]
    moved = [path for path in elsewhere if path.partition(".")[2] == key]
    valid = list(SECTIONS[section].model_fields) if section else ["size", *SECTIONS]
    near = f" Did you mean {moved[0]!r}?" if moved else did_you_mean(key, valid) or did_you_mean(key, elsewhere)
    return Problem(f"{section}.{key}".lstrip("."), "unknown key", f"it takes {', '.join(valid)}.{near}")


def _sections(size: Any, content: _Content) -> tuple[Settings, list[Problem]]:
    """The settings, with defaults where a value is wrong, and what is wrong."""
    model, found = _section("model", content.get("model", {}), settings_presets.PRESETS[size])
    training, more = _section("training", content.get("training", {}), settings_presets.PRESETS[size])
    widths = {name: getattr(model, name) for name in SHARED}
    data, most = _section("data", {**widths, **content.get("data", {})}, settings_presets.PRESETS[size])
    settings = Settings.model_construct(size=size, model=model, training=training, data=data)
    return settings, [*found, *more, *most]


def _section(name: str, content: _Content, preset: Mapping[str, _Content]) -> tuple[Any, list[Problem]]:
    kind = SECTIONS[name]
    try:
        return kind.model_validate(content), []
    except ValidationError as error:
        # One field can break several rules, and unions are tried one by one.
        wrong = {str(item["loc"][0]): item for item in reversed(error.errors(include_url=False))}
    defaults = kind.model_validate(preset.get(name, {}))
    found = [_explained(name, key, content, defaults) for key in content if key in wrong]
    return kind.model_validate({key: value for key, value in content.items() if key not in wrong}), found


def _explained(section: str, key: str, content: _Content, defaults: BaseModel) -> Problem:
    field = type(defaults).model_fields.get(key)
    if field is None:
        return _unknown_key(section, key)
    rule = next(says.rule for says in field.metadata if isinstance(says, Says))
    default = getattr(defaults, key)
    good = "null" if default is None else default
    return Problem(f"{section}.{key}", f"{_short(content[key])} was found, {rule} was expected", f"{good} would do")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
