"""A profile: what is selected and required, parameters, limits and waivers, read from YAML."""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gonogo.core.check import Effort
from gonogo.core.watch_settings import WatchSettings
from gonogo.errors import ProfileError, did_you_mean

Positive = Annotated[float, Field(gt=0)]
Limit = float | None | tuple[float | None, float | None]
_SHAPES = (
    ("checks", dict, "a mapping of check ids"),
    ("watch", dict, "a mapping of settings"),
    ("waivers", list, "a list of waivers"),
)
BUILTIN = ("quick", "standard", "full", "static", "watch")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CheckSettings(_Strict):
    """What a profile changes about one check."""

    params: dict[str, bool | int | float | str] = {}
    limits: dict[str, dict[str, Limit]] = {}


class Waiver(_Strict):
    """An accepted failure: reason and last day are compulsory."""

    check: str
    reason: str
    until: date


class TimeLimit(_Strict):
    """Seconds that one check may take, by effort."""

    read: Positive = 60
    step: Positive = 60
    fit: Positive = 120

    def of(self, effort: Effort) -> float:
        """The limit of a check of this effort, seconds."""
        return {Effort.READ: self.read, Effort.STEP: self.step, Effort.FIT: self.fit}[effort]


class Profile(_Strict):
    """Everything that decides how measurements become a verdict."""

    name: str = "custom"
    extends: str | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    budget: Positive | None = None  # seconds for the whole run
    time_limit: TimeLimit = TimeLimit()
    memory_limit: Positive | None = None  # bytes per worker; None: eight tenths of what is free at the start
    seed: int = 0
    checks: dict[str, CheckSettings] = {}
    waivers: tuple[Waiver, ...] = ()
    # Of the watch during training; no report shows it: the address of a webhook may be a secret.
    watch: WatchSettings = Field(default=WatchSettings(), exclude=True)


@dataclass(frozen=True, slots=True)
class Selection:
    """What the command line changes about a profile."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    budget: str | None = None
    time_limit: str | None = None
    overrides: dict[str, Any] = field(default_factory=dict)

    def apply(self, profile: Profile) -> Profile:
        """The profile with the command line's wishes."""
        changes: dict[str, Any] = dict(self.overrides)
        if self.only:
            changes["select"] = self.only
        if self.skip:
            changes["ignore"] = profile.ignore + self.skip
        if self.budget:
            changes["budget"] = seconds(self.budget, "--budget")
        if self.time_limit:
            limit = seconds(self.time_limit, "--time-limit")
            changes["time_limit"] = TimeLimit(read=limit, step=limit, fit=limit)
        return profile.model_copy(update=changes)


def load_profile(name_or_path: str, *, today: date | None = None) -> Profile:
    """The profile of that built-in name or YAML file, with everything it extends.

    Raises:
        ProfileError: The file is missing or wrong; the message has the YAML path and the nearest valid name.
    """
    content = _merged(name_or_path, seen=())
    try:
        profile = Profile.model_validate(content)
    except ValidationError as error:
        raise ProfileError(_explain(name_or_path, error)) from None
    _refuse_expired(profile, name_or_path, today or datetime.now(tz=UTC).date())
    return profile


def _merged(name: str, seen: tuple[str, ...], base: Path = Path()) -> dict[str, Any]:
    if name in seen:
        raise ProfileError(f"{name}: extends itself through {' -> '.join(seen)}")
    own, folder = _read(name, base)
    for key in ("budget", "memory_limit"):
        if isinstance(own.get(key), str):
            own[key] = (seconds if key == "budget" else size)(own[key], f"{name}: {key}")
    for key, kind, expected in _SHAPES:
        if not isinstance(own.get(key) or kind(), kind):
            raise ProfileError(f"{name}: {key}: {own[key]!r} was found, {expected} was expected")
    parent_name = own.get("extends")
    if parent_name is None:
        return own
    if not isinstance(parent_name, str):
        raise ProfileError(f"{name}: extends: {parent_name!r} was found, a profile name or path was expected")
    parent = _merged(parent_name, (*seen, name), folder)
    laid = {key: _overlaid(parent.get(key) or {}, own.get(key) or {}) for key in ("checks", "watch")}
    waivers = [*(parent.get("waivers") or []), *(own.get("waivers") or [])]
    return {**parent, **own, **laid, "waivers": waivers}


def _overlaid(below: Any, above: Any) -> Any:
    """Settings in `above` change single parameters and limits of those in `below`, not all of them."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: _overlaid(below[key], value) if key in below else value for key, value in above.items()}}


def _read(name: str, base: Path) -> tuple[dict[str, Any], Path]:
    if name in BUILTIN:
        text = resources.files("gonogo.profiles").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
        return {"name": name, **parse_yaml(text, name)}, Path()
    path = base / name
    if not path.is_file():
        raise ProfileError(
            f"there is no profile {name!r}: give one of {', '.join(BUILTIN)} or the path of a YAML file."
            f"{did_you_mean(name, BUILTIN)}"
        )
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"), name)
    except UnicodeDecodeError as error:
        raise ProfileError(f"{name}: not UTF-8 text: {error}") from None
    return {"name": path.stem, "extends": "standard", **content}, path.parent


class _Yaml12(yaml.SafeLoader):
    """Safe loader that reads 1e-3 as the number it is: PyYAML follows YAML 1.1, where it is a string."""


_Yaml12.yaml_implicit_resolvers = {key: list(value) for key, value in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """The mapping in a YAML text; numbers as in YAML 1.2."""
    try:
        content = yaml.load(text, _Yaml12)  # noqa: S506 - _Yaml12 derives from SafeLoader
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date such as 2026-13-01
        raise ProfileError(f"{where[:100]}: not valid YAML: {' '.join(str(error).split())[:500]}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ProfileError(f"{where}: a {type(content).__name__} was found, a mapping of keys was expected")
    return {str(key): value for key, value in content.items()}


_DURATION = re.compile(r"\s*([0-9.]+)\s*(s|sec|m|min|h|hour|hours)?\s*")
_SIZE = re.compile(r"\s*([0-9.]+)\s*(B|kB|KB|MB|GB|TB|KiB|MiB|GiB)?\s*")
_UNITS = {"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def seconds(text: str, where: str) -> float:
    """'90', '90 s', '20 min' or '2 h' in seconds."""
    match = _DURATION.fullmatch(text)
    if not match or match[1].count(".") > 1 or match[1] == ".":
        raise ProfileError(f"{where}: {text!r} was found, a duration such as '90 s', '20 min' or '2 h' was expected")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[(match[2] or "s")[0]]


def size(text: str, where: str) -> float:
    """'500 MB' or '4 GiB' in bytes."""
    match = _SIZE.fullmatch(text)
    if not match or match[1].count(".") > 1 or match[1] == ".":
        raise ProfileError(f"{where}: {text!r} was found, a size such as '500 MB' or '4 GiB' was expected")
    return float(match[1]) * _UNITS[match[2] or "B"]


def _explain(name: str, error: ValidationError) -> str:
    found = error.errors()
    # A misspelt key is also a missing one: the misspelling is what helps.
    first = next((item for item in found if item["type"] == "extra_forbidden"), found[0])
    # Below checks.ID.params.NAME and checks.ID.limits.NAME.LIMIT pydantic names the types that it tried.
    where = [str(part) for part in first["loc"]]
    depth = {"params": 4, "limits": 5}.get(where[2]) if len(where) > 2 else None
    path = ".".join(where[:depth])
    if first["type"] == "extra_forbidden":
        models = {"waivers": Waiver, "time_limit": TimeLimit, "checks": CheckSettings, "watch": WatchSettings}
        key, valid = where[-1], list((models[where[0]] if len(where) > 1 else Profile).model_fields)
        return f"{name}: {path}: unknown key {key!r}. It takes: {', '.join(valid)}.{did_you_mean(key, valid)}"
    if first["type"] == "missing":
        return f"{name}: {path}: missing; it is compulsory"
    if path == "watch.webhook":
        return f"{name}: {path}: no address of http or https (what was found may be a secret, so it is not shown)"
    if depth == 4:
        return f"{name}: {path}: {first['input']!r} was found, a number, a text or true/false was expected"
    return f"{name}: {path}: {first['input']!r} was found: {first['msg'][0].lower()}{first['msg'][1:]}"


def _refuse_expired(profile: Profile, name: str, today: date) -> None:
    for index, waiver in enumerate(profile.waivers):
        if not waiver.reason.strip():
            raise ProfileError(f"{name}: waivers.{index}.reason: empty; say why the failure is accepted")
        if waiver.until < today:
            raise ProfileError(
                f"{name}: waivers.{index} ({waiver.check}): expired on {waiver.until}, today is {today}; "
                "mend the cause, or decide again and move `until`"
            )


def schema() -> dict[str, Any]:
    """JSON Schema of a profile, for editors."""
    return TypeAdapter(Profile).json_schema()
