"""Which functions a subject may call, as far as names tell. Too many rather than too few: names may coincide."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gonogo.audit.source import Function, Source, roots, sources
from gonogo.training.subject import Subject

_CALLED = frozenset(
    ("forward", "training_step", "validation_step", "configure_optimizers", "setup", "train_dataloader")
)


@dataclass(frozen=True, slots=True)
class Reached:
    """A function that may be called: its file, the class it belongs to, and whether the subject was given it itself."""

    source: Source
    node: Function
    owner: ast.ClassDef | None = None
    root: bool = False


def reached(subject: Subject) -> list[Reached]:
    """The functions that the subject's functions may call.

    Raises:
        NotApplicable: There is no source to read.
    """
    files = sources(subject)
    known = [one for source in files for one in _functions(source, source.tree, None)]
    lines = {(code.co_filename, code.co_firstlineno) for code, _ in roots(subject)}
    first = [one for one in known if _holds(one, lines)]
    classes = {node.name: node for source in files for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)}
    names = {name for one in first for name in _names(one.node)} | _given_classes(subject, classes)
    found = {id(one.node) for one in first}
    while True:
        new = [one for one in known if id(one.node) not in found and _is_called(one, names)]
        grown = {name for one in new for name in _names(one.node)}
        grown |= {name for base in classes if base in names for name in _names(classes[base], shallow=True)}
        if not new and grown <= names:
            break
        found |= {id(one.node) for one in new}
        names |= grown
    given = {id(one.node) for one in first if _is_at(one, lines)}
    return [Reached(o.source, o.node, o.owner, id(o.node) in given) for o in known if id(o.node) in found]


def _functions(source: Source, node: ast.AST, owner: ast.ClassDef | None) -> Iterator[Reached]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield Reached(source, child, owner)
            yield from _functions(source, child, None)
        else:
            yield from _functions(source, child, child if isinstance(child, ast.ClassDef) else owner)


def _is_at(one: Reached, lines: set[tuple[str, int]]) -> bool:
    begins = {one.node.lineno, *(decorator.lineno for decorator in one.node.decorator_list)}
    return any((one.source.path, line) in lines for line in begins)


def _holds(one: Reached, lines: set[tuple[str, int]]) -> bool:
    """Is it one of the subject's functions, or does it define one of them within?"""
    end = one.node.end_lineno or one.node.lineno
    return _is_at(one, lines) or any(p == one.source.path and one.node.lineno <= line <= end for p, line in lines)


def _is_called(one: Reached, names: set[str]) -> bool:
    if one.owner is None:
        return one.node.name in names
    special = one.node.name in _CALLED or (one.node.name.startswith("__") and one.node.name.endswith("__"))
    return one.owner.name in names and (special or one.node.name in names)


def _names(node: ast.AST, shallow: bool = False) -> set[str]:
    """The names that a function uses; of a class only its bases and what stands outside its methods."""
    within: Sequence[ast.AST] = [node]
    if shallow and isinstance(node, ast.ClassDef):
        within = [*node.bases, *node.decorator_list, *(item for item in node.body if not isinstance(item, Function))]
    nodes = [child for part in within for child in ast.walk(part)]
    return {n.id for n in nodes if isinstance(n, ast.Name)} | {n.attr for n in nodes if isinstance(n, ast.Attribute)}


def _given_classes(subject: Subject, classes: dict[str, ast.ClassDef]) -> set[str]:
    given = (getattr(subject, name) for name in ("model", "loss", "optimizer", "predict"))
    return {one.__name__ for one in given if isinstance(one, type) and one.__name__ in classes}
