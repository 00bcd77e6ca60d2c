"""Frozen is not the same as pretrained."""

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.step.initial_draw import DEFAULT_SPREAD, untouched
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_HELPERS = re.compile(r"teacher|target|ema|momentum|ref|anchor|random|fixed")  # meant to stand still, claimed or not
_LAYERS = (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase, nn.MultiheadAttention)


@check(
    needs={C.MODEL},
    effort=Effort.READ,
    criteria=[
        at_most("unclaimed", fail=0, source="ours: the claims say what is frozen, and this layer is not among it"),
        at_most("random", warn=0, source="ours: random features are frozen by design in some models"),
    ],
    explains=("learning.",),
    since="0.1",
)
def frozen_random(session: Session) -> Observation:
    """Frozen layers hold what was learned before | Frozen layers hold random numbers

    What: builds the model under another seed, too. Weights of linear, convolutional, recurrent and attention layers
        that do not train and differ between the two are random: nothing was loaded into them. Where the seed changes
        nothing (the program sets its own, or a live object was given), those are random that look in every number as
        the default initialisation leaves them. Where Claims(frozen=...) says what is frozen, such layers elsewhere are
        counted as `unclaimed`, without claims as `random`.
    Why: freezing by a wrong name, or a library that freezes all but its adapters, also freezes new layers that start at
        random: a fusion layer or a head that never learns, while the rest learns around it.
    Fix: set requires_grad=True for new layers (modules_to_save in peft), or load the weights that were meant. If the
        random features are meant, name them in Claims(frozen=...).
    Shapes: any.
    Units: unclaimed, random: parameters.
    Source: ours; LlamaFactory issue 7872 and peft, modules_to_save.
    """
    frozen = _frozen(session.model)
    if not frozen:
        raise NotApplicable("no linear, convolutional, recurrent or attention layer is frozen")
    if not any(parameter.requires_grad for parameter in session.model.parameters()):
        raise NotApplicable("nothing trains, so freezing is not the question")
    other = _otherwise(session)
    again = _frozen(other)
    drawn = [name for name, p in frozen.items() if name in again and not _same(p, again[name])]
    if all(_same(one, two) for one, two in zip(session.model.parameters(), other.parameters(), strict=False)):
        drawn = [name for name, p in frozen.items() if untouched(p, _spread(session.model))]
    claims = session.claims.frozen
    rest = [name for name in drawn if not any(prefix in name for prefix in claims)]
    unclaimed = [name for name in rest if claims and not _HELPERS.search(name.lower())]
    rows = [(name, "not among the claims" if name in unclaimed else "") for name in rest]
    return Observation(
        {
            "unclaimed": Measurement(len(unclaimed), "{parameter}", n=len(frozen)),
            "random": Measurement(len(rest) - len(unclaimed), "{parameter}", n=len(frozen)),
        },
        (Table("Frozen, and other numbers under another seed", ("parameter", "claim"), tuple(rows)),),
    )


def _otherwise(session: Session) -> nn.Module:
    """The model under another seed. A program that sets its own gets another one, too, where claims ask for it."""
    other, build = copy.copy(session), session.subject.model
    other.seed = session.seed + 1
    if build is not None and session.claims.frozen:
        other.subject = replace(session.subject, model=lambda: _reseeded(build))
    return other.build_model()


def _reseeded(build: Callable[[], nn.Module]) -> nn.Module:
    """The first seed that is set counts as the run's own; others (of tables, of stand-ins for downloads) stay."""
    real, first = torch.manual_seed, list[int]()

    def moved(seed: int) -> torch.Generator:
        first.append(int(seed))
        return real(int(seed) + (int(seed) == first[0]))

    with mock.patch.object(torch, "manual_seed", moved), mock.patch.object(torch.random, "manual_seed", moved):
        return build()


def _frozen(model: nn.Module) -> dict[str, Tensor]:
    """Weights of usual layers where nothing trains, but for copies of layers that do."""
    owners = {name: module for name, module in model.named_modules() if isinstance(module, _LAYERS)}
    still = {n: m for n, m in owners.items() if not any(p.requires_grad for p in m.parameters())}
    found = {f"{n}.{k}": p for n, m in still.items() for k, p in m.named_parameters(recurse=False) if p.dim() > 1}
    # A teacher that follows its student starts as a copy of it.
    trained = [p for p in model.parameters() if p.requires_grad]
    return {name: p.detach() for name, p in found.items() if not any(_same(p, other) for other in trained)}


def _spread(model: nn.Module) -> float:
    return float(getattr(getattr(model, "config", None), "initializer_range", None) or DEFAULT_SPREAD)


def _same(one: Tensor, two: Tensor) -> bool:
    return one.shape == two.shape and torch.equal(one, two)


def _freeze_first(model: nn.Module) -> nn.Module:
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if len(layers) < 2:
        raise NotApplicable("the model has no layer to spare")
    layers[0].requires_grad_(False)
    return model


@fault(expect=Status.WARN)
def new_layer_frozen(subject: Subject) -> Subject:
    """The first layer is frozen at its random start."""
    return subject.map_model(_freeze_first)


@fault(expect=Status.WARN)
def new_layer_of_a_seeded_program(subject: Subject) -> Subject:
    """The first layer is frozen at its random start, and the program sets its own seed."""
    build: Any = subject.model

    def seeded() -> nn.Module:
        torch.manual_seed(7)
        return build()

    return new_layer_frozen(replace(subject, model=seeded))


@fault()
def more_frozen_than_claimed(subject: Subject) -> Subject:
    """The claims freeze the last layer, the code the first."""
    return new_layer_frozen(subject).with_claims(frozen=("4.",))
