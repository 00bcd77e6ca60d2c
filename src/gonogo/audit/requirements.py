"""Requirement files as pip reads them, as far as they can be compared with what is installed."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from gonogo.errors import SubjectError

_COMMENT = re.compile(r"(^|\s)#.*$")
_HASHES = re.compile(r"\s--[a-z-]+[= ].*$")
_DEEPEST = 5  # files that include files


def read(given: Sequence[str] | str | Path) -> list[Requirement]:
    """The requirements of a list of lines, or of a file (requirements.txt form, or a pyproject.toml).

    Left out: pip's options, editable and local installs, and bare URLs, which name no version.

    Raises:
        SubjectError: The file cannot be read, or a line is no requirement; the message names the line.
    """
    if isinstance(given, str | Path):
        return list(_of_file(Path(given), 0))
    return [one for at, line in enumerate(given, 1) for one in _of_line(line, f"requirements, entry {at}")]


def applies(requirement: Requirement) -> bool:
    """Does the marker (platform, Python version) hold here, without any extra?"""
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _of_file(path: Path, depth: int) -> Iterator[Requirement]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SubjectError(
            f"requirements: {path} cannot be read ({error.strerror}); give the path of a requirements file, "
            "or a list of lines"
        ) from None
    if path.suffix == ".toml":
        lines = tomllib.loads(text).get("project", {}).get("dependencies", [])
        yield from (one for line in lines for one in _of_line(line, str(path)))
        return
    for at, line in enumerate(text.splitlines(), 1):
        included = re.fullmatch(r"\s*(?:-r|--requirement)[= ]?\s*(\S+)\s*", _COMMENT.sub("", line))
        if included and depth < _DEEPEST:
            yield from _of_file(path.parent / included[1], depth + 1)
        else:
            yield from _of_line(line, f"{path}, line {at}")


def _of_line(line: str, where: str) -> Iterator[Requirement]:
    bare = _HASHES.sub("", _COMMENT.sub("", line)).strip().rstrip("\\").strip()
    if not bare or bare.startswith(("-", ".", "/")) or re.match(r"[\w+]+://", bare):
        return
    try:
        yield Requirement(bare)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise SubjectError(f"{where}: {bare!r} is no requirement ({reason}); write it like 'torch==2.13.0'") from None
