"""Contexts of autocast that are switched off in a run, and whether the device may be the reason."""

import ast
import linecache
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any

import torch

_DEVICE = re.compile(r"cuda|gpu|device|available|mps|hip|rocm|xpu|accelerator|backend|platform|cpu|support", re.I)
_DEPTH = 4


@contextmanager
def switched_off(device: str, seen: list[str]) -> Iterator[None]:
    """Notes contexts that stand for autocast on another device, or that this device may have switched off."""
    autocast, nothing = torch.autocast.__enter__, nullcontext.__enter__

    def enter(self: Any) -> Any:
        result = autocast(self)
        if not self._enabled and (str(self.device) != device or may_depend_on_device(sys._getframe(1))):
            seen.append(f"autocast of {self.device}")
        return result

    def enter_nothing(self: Any) -> Any:
        seen.append("nullcontext")
        return nothing(self)

    torch.autocast.__enter__, nullcontext.__enter__ = enter, enter_nothing  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.autocast.__enter__, nullcontext.__enter__ = autocast, nothing  # type: ignore[method-assign]


def may_depend_on_device(frame: FrameType) -> bool:
    """Does `enabled=` in the with statement that a frame is at mention a device, by any name it is made of?

    True where that cannot be read.
    """
    try:
        tree = ast.parse("".join(linecache.getlines(frame.f_code.co_filename)))
    except (SyntaxError, ValueError, RecursionError):
        return True
    meanings = _meanings(tree)
    entered = [
        item.context_expr
        for node in ast.walk(tree)
        if isinstance(node, ast.With)
        for item in node.items
        if item.context_expr.lineno <= frame.f_lineno <= (item.context_expr.end_lineno or 0)
    ]
    reached = list(_reached(entered, meanings))
    switches = [w.value for call in reached for w in getattr(call, "keywords", ()) if w.arg == "enabled"]
    if not switches:
        return True
    return any(_DEVICE.search(word) for node in _reached(switches, meanings) for word in _words(node))


def _reached(start: list[ast.expr], meanings: dict[str, list[ast.expr]]) -> Iterator[ast.AST]:
    """All nodes of some expressions, and of what their names were given anywhere in the file."""
    known: set[str] = set()
    waiting: list[ast.expr] = list(start)
    for _ in range(_DEPTH):
        nodes = [node for one in waiting for node in ast.walk(one)]
        yield from nodes
        names = {word for node in nodes for word in _words(node)} - known
        known |= names
        waiting = [value for name in names for value in meanings.get(name, ())]


def _words(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    word = getattr(node, "id", None) or getattr(node, "attr", None)
    return [word] if isinstance(word, str) else []


def _meanings(tree: ast.AST) -> dict[str, list[ast.expr]]:
    """What each name, attribute, key and argument is given."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        for name, value in _given(node):
            found.setdefault(name, []).append(value)
    return found


def _given(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in (part for each in targets for part in ast.walk(each)):
            yield from ((word, node.value) for word in _words(target))
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.arg, node.value
    elif isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        yield from ((str(key.value), value) for key, value in pairs if isinstance(key, ast.Constant))
    elif isinstance(node, ast.FunctionDef):
        for part in ast.walk(node):
            if isinstance(part, ast.Return) and part.value is not None:
                yield node.name, part.value
