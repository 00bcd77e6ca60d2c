"""The report as strict JSON, and the schema that readers of the file can rely on."""

import json
from typing import Any

from gonogo.core import report as core
from gonogo.core.criterion import Status
from gonogo.core.report import Decision, Report
from gonogo.reports import launch
from gonogo.reports.clean import clean, plain


def render(report: Report) -> str:
    """The report file: everything that was measured, judged and derived, without a nan and without secrets."""
    safe = clean(report)
    content = {**plain(safe), "launch": launch.plain(launch.launch(safe))}
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def schema_text() -> str:
    """JSON Schema of that file; `report.schema.json` is this text."""
    schema = core.schema()
    defs: dict[str, Any] = schema["$defs"]
    for name in ("Result", "Verdict"):
        defs[name]["properties"]["status"] = _STATUS
    schema["properties"] |= _DERIVED
    schema["required"] = [*schema.get("required", []), "schema", *_DERIVED]
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "gonogo report"}
    return json.dumps(schema, indent=1) + "\n"


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_STATUS = {"enum": list(Status.__members__)}
_DERIVED = {
    "verdict": {"enum": [decision.value for decision in Decision]},
    "exit_code": {"enum": [0, 1, 4, 5]},
    "reasons": {"type": "array", "items": _object(id=_TEXT, status=_STATUS, title=_TEXT, reason=_TEXT)},
    "launch": _object(
        ready={"type": "boolean"},
        answer=_TEXT,
        blockers={"type": "array", "items": _object(id=_TEXT, title=_TEXT, reason=_TEXT)},
        needs={"type": "array", "items": _object(what=_TEXT, value=_TEXT, source=_TEXT, evidence=_TEXT)},
        unknown={"type": "array", "items": _object(what=_TEXT, why=_TEXT)},
    ),
    "coverage": _object(ran=_COUNT, applicable=_COUNT, total=_COUNT),
}
