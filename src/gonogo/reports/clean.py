"""What every format does first: hide secrets, and drop characters that no format can carry."""

import re
from collections.abc import Mapping
from typing import Any

from gonogo.core.redact import redact
from gonogo.core.report import Report, from_dict, to_dict

# Everything outside XML 1.0's Char production: control characters, lone surrogates, two non-characters.
_ILLEGAL = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # colours in a captured stderr


def legal(text: str) -> str:
    """The text without terminal escapes and characters that XML 1.0 (hence JUnit, HTML) forbids."""
    return _ILLEGAL.sub("", _ESCAPES.sub("", text))


def plain(report: Report) -> dict[str, Any]:
    """The report as JSON types, safe to show anyone."""
    return safe(to_dict(report))


def safe(value: Any) -> Any:
    """Plain data without secrets and without characters that no format can carry."""
    return _legal(redact(value))


def clean(report: Report) -> Report:
    """The same report, safe to show anyone."""
    return from_dict(plain(report), "report")


def _legal(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {legal(str(name)): _legal(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_legal(item) for item in value]
    return legal(value) if isinstance(value, str) else value
