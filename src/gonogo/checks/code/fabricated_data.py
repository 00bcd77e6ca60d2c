"""Random numbers in the place of data."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from gonogo.audit.reach import Reached, reached
from gonogo.audit.source import define
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_DRAWS = re.compile(
    r"^(np|numpy|torch|random|rng|self\.rng|generator)(\.random)?\.(rand|randn|uniform|normal|standard_normal|gauss)$"
)
# What is random on purpose: noise of diffusion and adversarial models, times, masks, mixing.
_MEANT = re.compile(
    r"(?i)noise|eps|latent|^z$|^t$|time|sigma|mask|drop|keep|mix|lam|alpha|prob|weight|jitter|prior|seed|rand"
)
_MAKES = ("__getitem__", "__iter__", "collate", "collate_fn", "_collate", "load_sample", "_load")


@check(
    needs=(),
    effort=Effort.READ,
    criteria=[at_most("fabricated", warn=0, source="ours: synthetic data is legal where it is said to be synthetic")],
    since="0.1",
)
def fabricated_data(session: Session) -> Observation:
    """Samples come from the data | Random numbers stand in for data

    What: counts random draws in the functions that read samples and build batches, where the draw itself becomes a
        field of the sample. Augmentation, which adds to, scales or chooses from what was read, is left out, and so are
        noise, times and masks, and loaders that read nothing at all: points of an equation are drawn by right.
    Why: "if the file is missing, take random values" keeps a loader running and trains on numbers that mean nothing;
        the report on the data says complete.
    Fix: let a missing item be an error, or leave the sample out and count it. Synthetic data belongs into a class that
        says so in its name.
    Shapes: one row per draw.
    Units: fabricated: {draw} (n: functions that read samples).
    Source: ours: planet parameters that were drawn inside the loader of real data.
    """
    functions = [one for one in reached(session.subject) if _reads_samples(one)]
    rows = [
        (one.source.place(node), one.node.name, ast.unparse(node)[:100]) for one in functions for node in _draws(one)
    ]
    table = Table("Draws that become data", ("place", "function", "draw"), tuple(dict.fromkeys(rows)))
    return Observation({"fabricated": Measurement(table.total, "{draw}", n=len(functions))}, (table,))


def _reads_samples(one: Reached) -> bool:
    says_so = one.owner is not None and re.search(r"(?i)synthetic|random|toy|dummy|fake|mock|simulat", one.owner.name)
    if one.node.name == "__iter__" and not any(map(_is_read, ast.walk(one.node))):
        return False
    return not says_so and (one.node.name in _MAKES or "collate" in one.node.name)


def _is_read(node: ast.AST) -> bool:
    """Is something taken from what is stored: an entry, the items of a loop, a file?"""
    if isinstance(node, ast.Subscript):
        return isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.For | ast.comprehension):
        return not ast.unparse(node.iter).startswith(("range(", "itertools."))
    return isinstance(node, ast.Call) and bool(
        re.search(r"(?i)(load|open|read|parse|fetch|next)$", ast.unparse(node.func))
    )


def _draws(one: Reached) -> Iterator[ast.AST]:
    fields = _fields(one.node)
    for name, value in _assigned(one.node):
        if name in fields and _is_draw(value) and not _MEANT.search(name):
            yield value
    for name, value in _members(one.node):
        if _is_draw(value) and not _MEANT.search(name):
            yield value


def _is_draw(node: ast.AST) -> bool:
    """A draw, perhaps converted: torch.tensor(np.random.rand(3)), torch.randn(4).float()."""
    if not isinstance(node, ast.Call):
        return False
    if _DRAWS.match(ast.unparse(node.func)):
        return True
    if isinstance(node.func, ast.Attribute) and node.func.attr in (
        "float",
        "astype",
        "to",
        "unsqueeze",
        "reshape",
        "view",
    ):
        return _is_draw(node.func.value)
    converts = re.search(r"(^|\.)(tensor|as_tensor|from_numpy|FloatTensor|array|asarray)$", ast.unparse(node.func))
    return bool(converts and node.args) and _is_draw(node.args[0])


def _members(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """(key, value) of what is returned or put into a sample."""
    for child in ast.walk(node):
        if isinstance(child, ast.Return | ast.Yield) and child.value is not None:
            values = child.value.elts if isinstance(child.value, ast.Tuple) else [child.value]
            yield from (("", value) for value in values)
        elif isinstance(child, ast.Dict):
            yield from ((_key(key), value) for key, value in zip(child.keys, child.values, strict=True))
        elif isinstance(child, ast.Assign) and isinstance(child.targets[0], ast.Subscript):
            yield _key(child.targets[0].slice), child.value


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.walk(node):
        if isinstance(child, ast.Assign) and isinstance(child.targets[0], ast.Name):
            yield child.targets[0].id, child.value


def _fields(node: ast.AST) -> set[str]:
    return {value.id for _, value in _members(node) if isinstance(value, ast.Name)}


def _key(node: ast.AST | None) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""


@fault(expect=Status.WARN)
def missing_items_drawn(subject: Subject) -> Subject:
    """Missing features are replaced by random ones."""
    text = """import torch
def collate(samples):
    features = torch.stack([sample["features"] for sample in samples])
    if len(samples) < 4:
        features = torch.randn(4, 12)
    return {"features": features}
def loader():
    return [collate([{"features": torch.zeros(12)}])]
"""
    return replace(subject, splits={"train": define("fabricated_data", text)["loader"]})
