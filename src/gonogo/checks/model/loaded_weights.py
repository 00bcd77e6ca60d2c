"""Loading that matches no name loads nothing, and strict=False keeps quiet about it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@dataclass(frozen=True)
class _Load:
    """One call of load_state_dict that came back: the module, and names that were given, wanted and missed."""

    module: nn.Module
    given: list[str]
    wanted: list[str]
    missing: list[str]
    unexpected: list[str]

    @property
    def empty(self) -> bool:
        """Was there something to load, and was none of it loaded?"""
        return bool(self.given and self.wanted) and len(self.missing) == len(self.wanted)

    @property
    def renamed(self) -> int:
        """How many names were left over that, without what all of them begin with, are names that are missing."""
        return 0 if self.empty else _without_prefix(self.unexpected, set(self.missing))


@check(
    needs={C.MODEL},
    effort=Effort.READ,
    explains=("learning.", "model.initial-loss", "model.frozen-random"),
    criteria=[
        at_most("empty", fail=0, source="exact: of all names in the state, the module has none"),
        at_most("renamed", warn=0, source="ours: the part may be left out on purpose, so a warning"),
    ],
    since="0.2",
)
def loaded_weights(session: Session) -> Observation:
    """What is loaded into the model arrives | What is loaded into the model does not arrive

    What: builds the model once more and looks into every load_state_dict that it calls. `empty` counts the calls after
        which the module has not one entry of the state it was given, and no other call helped; `renamed` entries left
        over although the module misses their names without a prefix that all of them share (module., _orig_mod.).
    Why: checkpoints of wrapped or compiled models have other names. With strict=False the pretrained model starts at
        random, and costs the difference between fine-tuning and training from scratch.
    Fix: strip the prefix (nn.modules.utils.consume_prefix_in_state_dict_if_present), or save the inner module; look at
        what load_state_dict returns, and raise if it misses more than the new head.
    Shapes: any.
    Units: empty: calls; renamed: entries.
    Source: pytorch issue 141256; ours.
    """
    loads: list[_Load] = []
    with _watched(loads):
        session.build_model()
    full = {id(load.module) for load in loads if not load.empty}  # some try one name after the other
    lost = [load for load in loads if load.empty and id(load.module) not in full]
    if not loads:
        raise NotApplicable("building the model calls no load_state_dict")
    rows = [(type(load.module).__name__, len(load.given), len(load.wanted), len(load.missing)) for load in loads]
    return Observation(
        {
            "empty": Measurement(len(lost), "{call}", n=len(loads)),
            "renamed": Measurement(sum(load.renamed for load in loads), "{entry}"),
        },
        (Table("Loaded while the model was built", ("module", "entries", "wanted", "missed"), tuple(rows)),),
    )


@contextmanager
def _watched(loads: list[_Load]) -> Iterator[None]:
    real = nn.Module.load_state_dict

    def load(self: nn.Module, state_dict: Mapping[str, Any], *rest: Any, **named: Any) -> Any:
        given, wanted = list(state_dict), list(self.state_dict())
        result = real(self, state_dict, *rest, **named)
        missing, unexpected = list(getattr(result, "missing_keys", [])), list(getattr(result, "unexpected_keys", []))
        loads.append(_Load(self, given, wanted, missing, unexpected))
        return result

    with mock.patch.object(nn.Module, "load_state_dict", load):
        yield


def _without_prefix(names: list[str], missing: set[str]) -> int:
    """How many `names` are in `missing` once the beginning that all of them share is cut off; most must be, and two."""
    heads = {name[: -len(end)] for name in names for end in missing if name.endswith("." + end)}
    common = [head for head in heads if all(name.startswith(head) for name in names)]
    found = max((sum(name.removeprefix(head) in missing for name in names) for head in common), default=0)
    return found if found >= 2 and 2 * found >= len(names) else 0


def _loading(prefix: str) -> Any:
    def change(model: nn.Module) -> nn.Module:
        with torch.no_grad():
            state = {f"{prefix}{name}": 0.9 * value for name, value in model.state_dict().items()}
        model.load_state_dict(state, strict=False)
        return model

    return change


@fault()
def names_of_a_compiled_model(subject: Subject) -> Subject:
    """The checkpoint is that of a compiled model, and nothing complains."""
    return subject.map_model(_loading("_orig_mod."))
