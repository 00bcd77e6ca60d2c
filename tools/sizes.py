"""Print what is larger than DESIGN.md allows; exit code 1 if anything is.

Small files and functions are what keeps a stranger able to read one and trust it.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
CHECK, MODULE, RECIPE, BODY = 150, 300, 400, 30  # lines
# All of core together. The promise is that a newcomer reads it in one sitting; a third of it is profiles, plans and
# their error messages, which no shorter text would make easier to read. Lower it when something moves out.
CORE = 1600


def ceiling(path: Path) -> int:
    """Lines that a module may have."""
    parts = path.relative_to(SOURCE).parts
    if parts[0] == "gonogo_recipes" and path.name in ("model.py", "data.py"):
        return RECIPE
    return CHECK if parts[:2] == ("gonogo", "checks") else MODULE


def long_bodies(text: str) -> Iterator[tuple[str, int]]:
    """(name, lines) of every function whose body, without its docstring, is too long."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if lines > BODY:
                yield node.name, lines


def offenders() -> Iterator[str]:
    """What is too large, one line each."""
    core = 0
    for path in sorted(SOURCE.rglob("*.py")):
        name, text = path.relative_to(ROOT), path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        core += lines if path.is_relative_to(SOURCE / "gonogo" / "core") else 0
        if lines > ceiling(path):
            yield f"{name}: {lines} lines, at most {ceiling(path)}"
        for function, length in long_bodies(text):
            yield f"{name}: the body of {function} has {length} lines, at most {BODY}"
    print(f"core: {core} of {CORE} lines")
    if core > CORE:
        yield f"src/gonogo/core: {core} lines, at most {CORE}"


def main() -> int:
    """Print the offenders; the exit code."""
    found = list(offenders())
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
