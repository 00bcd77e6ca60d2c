"""An error that is caught and dropped."""

import ast
from collections.abc import Iterator
from dataclasses import replace

from gonogo.audit.source import Source, define, sources
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_BROAD = {"Exception", "BaseException"}
_SAYS = {"print", "debug", "info", "warning", "warn", "error", "exception", "log", "write", "critical", "sleep"}
_ENDINGS = {"__del__", "__exit__", "close", "cleanup", "shutdown", "__repr__", "__str__", "teardown"}


@check(
    needs=(),
    effort=Effort.READ,
    criteria=[at_most("swallowed", warn=0, source="ours: some errors may be dropped, but not every kind of them")],
    since="0.1",
)
def swallowed_exceptions(session: Session) -> Observation:
    """No error is caught and dropped | Errors of every kind are caught and dropped

    What: counts handlers of every exception (bare, Exception, BaseException) that do nothing but pass, continue, print
        or give a constant. Left out: imports with a substitute, clean-up at the end, functions that answer yes or no,
        and handlers of particular errors.
    Why: a shape error in one branch of the model, a broken file or a failed validation becomes a zero in the log or a
        part of the model that never runs; the run goes on and looks healthy.
    Fix: catch the error that is expected, by its name, count how often it happens, and let all others through.
    Shapes: one row per handler.
    Units: swallowed: {handler} (n: handlers of exceptions).
    Source: PEP 8, programming recommendations; ours: validation failures that were logged as zeros.
    """
    files = sources(session.subject)
    handlers = [one for source in files for one in _handlers(source)]
    rows = tuple((source.place(node), name) for source, node, name, drops in handlers if drops)
    table = Table("Handlers that drop every error", ("place", "function"), rows)
    return Observation({"swallowed": Measurement(len(rows), "{handler}", n=len(handlers))}, (table,))


def _handlers(source: Source) -> Iterator[tuple[Source, ast.ExceptHandler, str, bool]]:
    for scope in ast.walk(source.tree):
        if isinstance(scope, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef):
            name = getattr(scope, "name", "")
            for tried in _tries(scope):
                for handler in tried.handlers:
                    yield source, handler, name, _drops(handler) and not _is_fine(tried, handler, scope)


def _tries(scope: ast.AST) -> Iterator[ast.Try]:
    """The try statements of a scope, without those of the functions in it."""
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, ast.Try):
            yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _tries(child)


def _drops(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    broad = any(kind is None or (isinstance(kind, ast.Name) and kind.id in _BROAD) for kind in kinds)
    return broad and all(_does_nothing(statement) for statement in handler.body)


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass | ast.Continue):
        return True
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        called = statement.value.func
        return (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) in _SAYS
    value = statement.value if isinstance(statement, ast.Return | ast.Assign | ast.Expr) else statement
    return value is None or _is_constant(value)


def _is_constant(value: ast.AST) -> bool:
    return all(
        isinstance(n, ast.Constant | ast.Dict | ast.List | ast.Tuple | ast.Load | ast.USub | ast.UnaryOp)
        for n in ast.walk(value)
    )


def _is_fine(tried: ast.Try, handler: ast.ExceptHandler, scope: ast.AST) -> bool:
    if getattr(scope, "name", "") in _ENDINGS or any(
        isinstance(node, ast.Import | ast.ImportFrom) for node in tried.body
    ):
        return True
    returned = [node.value for node in handler.body if isinstance(node, ast.Return)]
    answers = [node for node in tried.body if isinstance(node, ast.Return)]
    # A question: was it possible?
    return bool(returned and answers) and all(
        isinstance(v, ast.Constant) and isinstance(v.value, bool) for v in returned
    )


@fault(expect=Status.WARN)
def failures_become_zeros(subject: Subject) -> Subject:
    """An evaluation that fails reports zeros."""
    text = """def evaluate(model, loader):
    try:
        total = sum(1 for _ in loader)
    except Exception:
        total = 0.0
    return {"total": float(total)}
"""
    return replace(subject, evaluate=define("swallowed", text)["evaluate"])
