"""What a module does not know, no optimizer trains and no checkpoint saves."""

from collections.abc import Iterator, Mapping
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.instruments.loss.graph import leaves
from gonogo.training.session import Session, all_of
from gonogo.training.subject import Subject

DEPTH = 4  # containers within containers
Found = Iterator[tuple[str, nn.Module | Tensor]]


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    criteria=[
        at_most("untrained", fail=0, source="ours: a gradient that no optimizer takes, in a module that trains"),
        at_most("unsaved", warn=0, source="ours: trained, but in no state dict; a checkpoint of its own may hold it"),
    ],
    explains=("model.late-parameters", "reproducibility.", "learning.", "model.parameter-count"),
    since="0.1",
)
def hidden_modules(session: Session) -> Observation:
    """All layers are registered | Layers are hidden from PyTorch

    What: looks into the lists, dicts, tuples and closures that the model's modules have as attributes, for modules and
        parameters that model.parameters() does not give. Counted is what gets a gradient from the loss: as `untrained`
        if the optimizer lacks it, as `unsaved` if it has it.
    Why: `self.blocks = [Block() for _ in range(n)]` makes layers that run and never learn, are not moved to the
        device, not switched to evaluation and not saved. The loss falls on the rest.
    Fix: nn.ModuleList, nn.ModuleDict, nn.ParameterList in place of list and dict. If it is a frozen helper (a teacher,
        a perceptual loss), set requires_grad=False or run it under no_grad.
    Shapes: any.
    Units: untrained, unsaved: parameters.
    Source: pytorch.org, ModuleList.
    """
    model = session.model
    [batch] = session.batches("train", limit=1)
    loss = session.loss(batch)
    optimizers = all_of(session.optimizer)
    held = {id(p) for one in optimizers for group in one.param_groups for p in group["params"]}
    used = {id(leaf) for leaf in leaves(loss)}
    known = {id(p) for p in model.parameters()}
    rows: dict[int, tuple[str, str]] = {}
    for where, thing in _hidden(model):
        for parameter in [thing] if isinstance(thing, Tensor) else _training(thing):
            if parameter.requires_grad and id(parameter) in used and id(parameter) not in known:
                kind = "unsaved" if id(parameter) in held else "untrained"
                rows.setdefault(id(parameter), (where, kind))
    kinds = [kind for _, kind in rows.values()]
    return Observation(
        {kind: Measurement(kinds.count(kind), "{parameter}") for kind in ("untrained", "unsaved")},
        (Table("Hidden parameters that the loss uses", ("where", "kind"), tuple(rows.values())),),
    )


def _training(module: nn.Module) -> list[nn.Parameter]:
    """Parameters of a module that learns; what its author has put into evaluation mode is a helper."""
    return [] if not any(part.training for part in module.modules()) else list(module.parameters())


def _hidden(model: nn.Module) -> Found:
    registered = {id(module) for module in model.modules()}
    seen = set(registered)
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if key in ("_parameters", "_buffers", "_modules") or "hook" in key or key.startswith("_gonogo"):
                continue
            for where, thing in _within(value, f"{name}.{key}".strip("."), DEPTH):
                if id(thing) not in seen:
                    seen.add(id(thing))
                    yield where, thing


def _within(value: Any, where: str, depth: int) -> Found:
    if isinstance(value, nn.Module | nn.Parameter) or (isinstance(value, Tensor) and value.is_leaf):
        yield where, value
    elif depth > 0:
        for key, inner in _inside(value):
            yield from _within(inner, f"{where}{key}", depth - 1)


def _inside(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(f"[{key!r}]", inner) for key, inner in value.items()]
    if isinstance(value, list | tuple | set | frozenset):
        return [(f"[{place}]", inner) for place, inner in enumerate(value)]
    if isinstance(value, partial):
        return [("(...)", inner) for inner in (value.func, *value.args, *value.keywords.values())]
    if isinstance(value, MethodType):
        return [("()", value.__self__)]
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        return [("()", inner) for inner in (*cells, *(value.__defaults__ or ()))]
    # Plain objects of the author's own classes may hold layers; those of libraries are left alone.
    own = getattr(value, "__dict__", None)
    if own and not isinstance(value, type) and not type(value).__module__.startswith(("torch", "numpy", "builtins")):
        return [(f".{key}", inner) for key, inner in own.items()]
    return []


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


class _Listing(nn.Module):
    """A model with another layer behind it, kept in a plain list."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.blocks = inner, [nn.Linear(4, 4)]

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        output = self.inner(*inputs, **named)
        return output + self.blocks[0](output)


@fault()
def blocks_in_a_list(subject: Subject) -> Subject:
    """A layer is kept in a list."""
    return subject.map_model(_Listing)


@fault(expect=Status.WARN)
def blocks_only_in_the_optimizer(subject: Subject) -> Subject:
    """A layer is kept in a list, and the optimizer was given it by hand."""

    def change(factory: Any) -> Any:
        def build(model: Any) -> Any:
            optimizer = factory(model)
            optimizer.add_param_group({"params": list(model.blocks[0].parameters())})
            return optimizer

        return build

    return blocks_in_a_list(subject).map_optimizer(change)
