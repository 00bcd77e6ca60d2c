"""A check's docstring is its public page: two titles and labelled sections."""

import inspect
import re
from dataclasses import dataclass

from gonogo.errors import CheckError

SECTIONS = ("What", "Why", "Fix", "Shapes", "Units", "Source")


@dataclass(frozen=True, slots=True)
class DocPage:
    """The parts of a check's docstring."""

    title_pass: str
    title_fail: str
    what: str
    why: str
    fix: str
    shapes: str
    units: str
    source: str


def parse(docstring: str | None, where: str) -> DocPage:
    """The page in a docstring.

    Raises:
        CheckError: A title or a section is missing; the message names it.
    """
    lines = inspect.cleandoc(docstring or "").splitlines()
    titles = [part.strip() for part in lines[0].split("|")] if lines else []
    if len(titles) != 2 or not all(titles):
        raise CheckError(f"{where}: the first docstring line must be 'title when it passes | title when it fails'")
    sections = _sections(lines[1:])
    missing = [name for name in SECTIONS if not sections.get(name)]
    if missing:
        raise CheckError(f"{where}: the docstring lacks {', '.join(missing)}; it needs all of {', '.join(SECTIONS)}")
    return DocPage(titles[0], titles[1], *(sections[name] for name in SECTIONS))


def _sections(lines: list[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        head = re.match(r"(\w+):\s*(.*)", line)
        if head and head[1] in SECTIONS:
            current = found.setdefault(head[1], [])
            line = head[2]
        current.append(line.strip())
    return {name: " ".join(part for part in parts if part) for name, parts in found.items()}
