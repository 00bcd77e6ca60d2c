"""No secret leaves the process: every text of a report goes through here."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[redacted]"
_KEYS = re.compile(r"(?i)(pass(word|wd|phrase)?|secret|token|api[_-]?key|credential|private[_-]?key|access[_-]?key)s?$")
_HEX_KEYS = re.compile(r"(?i)(wandb|comet|neptune|_key$|^key$)")  # services whose keys are bare hexadecimal digits
_HEX = re.compile(r"[0-9a-fA-F]{32,64}")
# Counts and names of tokens are ordinary words in this field; only text values under such a key are secrets.
_VALUES = re.compile(
    r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}|\bhf_[A-Za-z0-9]{16,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bAIza[0-9A-Za-z_-]{30,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)
_ASSIGNED = re.compile(
    r"(?i)\b([\w-]*(?:password|passwd|secret|api[_-]?key|access[_-]?key|auth[_-]?token|access[_-]?token))"
    r"(['\"]?\s*[=:]\s*)(?:Bearer\s+)?['\"]?[^\s'\",;]{6,}['\"]?"
)
# `--password x`: the options of a command line. A bare `--key` may be that of a dictionary, so digits must follow.
_OPTION = re.compile(
    r"(?i)((?<![\w-])--?(?:[\w-]*(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|(?:hub|hf|auth|access|api|bot)[_-]?token)|token)[\s=]+)(?:'[^']*'|\"[^\"]*\"|(?![-$<\[])[^\s'\",;]{6,})"
)
_HEX_OPTION = re.compile(
    r"(?i)((?:(?<![\w-])--?[\w-]*key|\b(?:wandb|comet|neptune)[\w-]*)(?: login)?[\s=:]+)[0-9a-f]{32,64}\b"
)


def redact(value: Any, key: str = "") -> Any:
    """`value` with every secret replaced, in any nesting of mappings and sequences."""
    if isinstance(value, Mapping):
        return {name: redact(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item, key) for item in value]
    if not isinstance(value, str):
        return value
    if value and _KEYS.search(key) and value[0] not in "$<[":  # $HF_TOKEN, <pad>, [MASK]
        return HIDDEN
    if _HEX_KEYS.search(key) and _HEX.fullmatch(value):
        return HIDDEN
    value = _ASSIGNED.sub(rf"\1\2{HIDDEN}", _VALUES.sub(HIDDEN, value))
    return _HEX_OPTION.sub(rf"\1{HIDDEN}", _OPTION.sub(rf"\1{HIDDEN}", value))
