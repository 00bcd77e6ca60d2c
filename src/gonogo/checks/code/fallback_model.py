"""If a library is missing, another model is trained."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from gonogo.audit.source import Source, define, sources
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.training.session import Session
from gonogo.training.subject import Subject

# Layers that do the same in plain torch (norms, attention, activations) are left alone.
_CLASS = re.compile(
    r"(Model|Net|Network|Transformer|Encoder|Decoder|Backbone)$|Fallback|Simple|Dummy|Mock|Stub|Tiny|Fake"
)
_MODEL = re.compile(r"(?i)(^|_)(model|net|network|encoder|decoder|backbone|transformer)$")


@check(
    needs=(),
    effort=Effort.READ,
    criteria=[
        at_most("fallbacks", warn=0, source="ours: a substitute may be meant; the run must then say which it is")
    ],
    since="0.1",
)
def fallback_model(session: Session) -> Observation:
    """No error leads to another model | An error leads to another model without a stop

    What: counts handlers of ImportError or of every exception that define a network or build a model in place of the
        one that failed. Handlers that raise, flags such as AVAILABLE = False and imports of the same class from
        elsewhere are left out.
    Why: with a package missing on the cluster, a small substitute is trained for days under the name of the real model.
    Fix: let the import fail; if a substitute is wanted, make it a choice of the configuration, and record the class.
    Shapes: one row per handler.
    Units: fallbacks: {handler} (n: files read).
    Source: ours: a trainer that built a small model when an import failed.
    """
    files = sources(session.subject)
    rows = tuple((source.place(node), what) for source in files for node, what in _fallbacks(source))
    table = Table("Substitutes", ("place", "what is built"), rows)
    return Observation({"fallbacks": Measurement(len(rows), "{handler}", n=len(files))}, (table,))


def _fallbacks(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for handler in ast.walk(source.tree):
        if not isinstance(handler, ast.ExceptHandler) or not _is_wide(handler):
            continue
        inside = [node for statement in handler.body for node in ast.walk(statement)]
        if any(isinstance(node, ast.Raise) for node in inside if not isinstance(node, ast.FunctionDef)):
            continue
        built = [what for node in inside if (what := _network(node))]
        if built:
            yield handler, built[0]


def _is_wide(handler: ast.ExceptHandler) -> bool:
    names = "Exception" if handler.type is None else ast.unparse(handler.type)
    return bool(re.search(r"\b(ImportError|ModuleNotFoundError|Exception|BaseException)\b", names))


def _network(node: ast.AST) -> str:
    if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Module") for base in node.bases):
        return f"class {node.name}" if _CLASS.search(node.name) else ""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        made = ast.unparse(node.value.func)
        names = [ast.unparse(target).rsplit(".", 1)[-1] for target in node.targets]
        if any(_MODEL.search(name) for name in names) and re.search(r"(^|\.)(nn\.)?[A-Z]\w+$", made):
            return f"{names[0]} = {made}(...)"
    return ""


@fault(expect=Status.WARN)
def small_substitute(subject: Subject) -> Subject:
    """If a package is missing, a small model is trained in place of the real one."""
    text = """from torch import nn
try:
    from gonogo_example_of_a_missing_package import Net
except ImportError:
    class Net(nn.Sequential, nn.Module):
        pass
def build():
    return Net(nn.Linear(12, 4))
"""
    return replace(subject, model=define("fallback_model", text)["build"])
