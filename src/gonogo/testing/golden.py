"""Golden files: expected texts that are reviewed like code and rewritten by one command."""

import difflib
import os
from pathlib import Path


def check_golden(path: Path, text: str, update: bool | None = None) -> None:
    """Compare the text with the file; rewrite the file if `update`, by default if UPDATE_GOLDEN=1 is set.

    Raises:
        AssertionError: They differ; the message is the difference and how to accept it.
    """
    if os.environ.get("UPDATE_GOLDEN") == "1" if update is None else update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        return
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    if text != expected:
        diff = difflib.unified_diff(expected.splitlines(), text.splitlines(), str(path), "now", lineterm="", n=2)
        shown = "\n".join(list(diff)[:200])
        raise AssertionError(f"{shown}\n\n{path.name} differs. If the change is wanted: UPDATE_GOLDEN=1 pytest ...")
