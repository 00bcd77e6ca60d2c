"""What a build returned -> which of it is the module, its data, its Trainer and its loaders."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gonogo.adapters.lightning.hooks import is_a, overridden
from gonogo.errors import SubjectError

FORMS = "a LightningModule with its own loaders, (module, datamodule), (module, train_loader, valid_loader)"
FORMS += " or LightningCLI(..., run=False)"

# Names under which loaders stand in a dict: train, train_loader, val_dataloader, ...
_SPLIT = re.compile(r"(train|val|dev|eval|test)\w*")


def listed(built: Any) -> Sequence[Any]:
    """The objects in what was built."""
    if is_a(built, "LightningCLI"):
        return [part for part in (built.model, built.datamodule, built.trainer) if part is not None]
    if isinstance(built, Mapping):
        return list(built.values()) if "loss" not in built else ()  # with a loss it is a dict of parts already
    return built if isinstance(built, tuple | list) else (built,)


@dataclass(slots=True)
class Given:
    """The objects by what they are."""

    module: Any
    data: Any = None
    trainer: Any = None
    loaders: dict[str, Any] = field(default_factory=dict)  # by "train", "val" and "test"
    more: dict[str, Any] = field(default_factory=dict)  # claims, name, ... that only a dict can hold

    @staticmethod
    def of(built: Any, text: str) -> "Given":
        """The objects sorted.

        Raises:
            SubjectError: There is no module, or two, or one that cannot train.
        """
        modules = [part for part in listed(built) if is_a(part, "LightningModule")]
        if len(modules) != 1:
            found = ", ".join(type(part).__name__ for part in listed(built))
            raise SubjectError(f"{text}: {found}, with {len(modules)} LightningModules; expected {FORMS}")
        if not overridden(modules[0], "training_step"):
            raise SubjectError(
                f"{text}: {type(modules[0]).__name__} has no training_step; define it, it gives the loss"
            )
        given = Given(modules[0])
        named = built.items() if isinstance(built, Mapping) else ((None, part) for part in listed(built))
        for name, part in named:
            if is_a(part, "LightningDataModule"):
                given.data = part
            elif is_a(part, "Trainer"):
                given.trainer = part
            elif _is_loader(part, name) and (name is None or _SPLIT.fullmatch(name)):
                given.loaders[_split_of(name, len(given.loaders))] = part
            elif name is not None and part is not given.module:
                given.more[name] = part
        return given


def _is_loader(part: Any, name: str | None) -> bool:
    if isinstance(part, Mapping):
        return name is not None and bool(part) and all(_is_loader(one, None) for one in part.values())
    return hasattr(part, "__iter__") and not isinstance(part, str | bytes)


def _split_of(name: str | None, place: int) -> str:
    found = _SPLIT.fullmatch(name) if name else None
    kind = found[1] if found else ("train", "val", "test")[min(place, 2)]
    return "val" if kind in ("dev", "eval") else kind
