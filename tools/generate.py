"""Write everything that is generated: the index of checks, the JSON schemas, docs/checks and docs/coverage.md.

`python tools/generate.py --check` changes nothing and fails if something is out of date.
"""

import json
import sys
from pathlib import Path

import traceability

from gonogo.core import profile
from gonogo.core.catalogue import INDEX, discover, to_json
from gonogo.core.check import Check
from gonogo.reports import as_json, pages

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "gonogo"
DOCS = ROOT / "docs" / "checks"


def wanted() -> dict[Path, str]:
    """Path -> content of every generated file."""
    catalogue = discover()
    files = {
        PACKAGE / "checks" / INDEX: to_json(catalogue),
        PACKAGE / "reports" / "report.schema.json": as_json.schema_text(),
        PACKAGE / "profiles" / "profile.schema.json": json.dumps(profile.schema(), indent=1) + "\n",
        DOCS / "README.md": pages.as_index(catalogue),
        traceability.PAGE: traceability.page(),
    }
    return files | {_page(check): pages.as_page(check) for check in catalogue}


def _page(check: Check) -> Path:
    return DOCS / f"{check.id}.md"


def main() -> int:
    """Write, or with --check compare; the exit code."""
    files = wanted()
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    stale += [path for path in DOCS.glob("*.md") if path not in files]
    if "--check" in sys.argv:
        for path in stale:
            print(f"out of date: {path.relative_to(ROOT)}; run `make docs`")
        return 1 if stale else 0
    for path in stale:
        if path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
        else:
            path.unlink()
    print(f"{len(stale)} of {len(files)} generated files written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
