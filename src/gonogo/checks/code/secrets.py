"""A key to somebody's account in the source code."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from gonogo.audit.source import Source, define, sources
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.core.redact import redact
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_DUMMY = re.compile(r"(?i)example|dummy|placeholder|change.?me|your|xxxx|\.\.\.|redacted|test")
_ACCESS = re.compile(r"(?i)pass|secret|api|auth|access|private|credential|bearer|hub|hf_?token|wandb|github")


@check(
    needs=(),
    effort=Effort.READ,
    criteria=[at_most("secrets", warn=0, source="ours: what looks like a key may be a dummy")],
    since="0.1",
)
def secrets(session: Session) -> Observation:
    """The code holds no secrets | The code holds secrets

    What: counts texts in the code in the form of an issuer's access key, private key or password within an address, and
        texts that are assigned to a name such as password or api_key. The texts are never shown.
    Why: code is copied into images, notebooks and repositories; a key in it must be taken as known to others.
    Fix: revoke the key, read it from an environment variable or a secret store, and remove it from the history.
    Shapes: one row per text.
    Units: secrets: {text} (n: files read).
    Source: CWE-798, use of hard-coded credentials.
    """
    files = sources(session.subject)
    rows = tuple((source.place(node), kind) for source in files for node, kind in _found(source))
    rows = tuple(dict.fromkeys(rows))
    table = Table("Secrets (texts are not shown)", ("place", "is"), rows)
    return Observation({"secrets": Measurement(len(rows), "{text}", n=len(files))}, (table,))


def _found(source: Source) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and _could_be(node.value) and redact(node.value) != node.value:
            yield node, "in the form of a key"
        for name, value in _named(node):
            text = value.value if isinstance(value, ast.Constant) else None
            if _ACCESS.search(name) and _could_be(text) and redact({name: text})[name] != text:
                yield value, "under the name of a secret"


def _could_be(text: object) -> bool:
    return (
        isinstance(text, str) and len(text) >= 8 and len(set(text)) >= 5 and " " not in text and not _DUMMY.search(text)
    )


def _named(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.Assign):
        yield from ((ast.unparse(target).rsplit(".", 1)[-1].strip("\"'[]"), node.value) for target in node.targets)
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.arg, node.value
    elif isinstance(node, ast.Dict):
        yield from (
            (str(k.value), v) for k, v in zip(node.keys, node.values, strict=True) if isinstance(k, ast.Constant)
        )


@fault(expect=Status.WARN)
def token_in_the_code(subject: Subject) -> Subject:
    """A token of a model hub stands in the code."""
    token = "hf_" + "aB3dE5gH7jK9mN1pQ3rS5tU7"  # in two parts, so that this file is not taken for a leak itself
    text = f"KEY = '{token}'\ndef evaluate(model, loader):\n    return {{'length': float(len(KEY))}}\n"
    return replace(subject, evaluate=define("secrets", text)["evaluate"])
