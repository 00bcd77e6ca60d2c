"""An embedding and a head that start equal and drift apart were meant to be one."""

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_TYING = re.compile(r"tie_|tied|(weight|embedding)s?_tying|share_(input_output_|all_)?embed")


@check(
    needs={C.MODEL},
    effort=Effort.READ,
    criteria=[
        at_most("untied_declared", fail=0, source="exact: the configuration says tied, the storages are two"),
        at_most("untied_copies", warn=0, source="ours: a head may be initialised from the embedding on purpose"),
    ],
    since="0.1",
)
def tied_weights(session: Session) -> Observation:
    """Tied weights are one tensor | Weights that should be tied are copies

    What: looks for an embedding and a linear layer whose trainable weights are equal in value and are two tensors.
        `untied_declared` counts them where a key such as tie_word_embeddings is true in the configuration, and there
        heads of the same shape, too; `untied_copies` counts them where nothing is declared.
    Why: a copy, a deepcopy of parts, or loading after tying separates the two; from the first step on they learn
        different things, and the parameter count is off by the size of the vocabulary.
    Fix: assign the same nn.Parameter (head.weight = embedding.weight) after everything else has been built or loaded.
    Shapes: (vocabulary, dim).
    Units: untied_declared, untied_copies: pairs.
    Source: ours; transformers tie_weights.
    """
    model = session.model
    tables, heads = _weights(model, nn.Embedding), _weights(model, nn.Linear)
    if not any(table.shape == head.shape for table, head in product(tables.values(), heads.values())):
        raise NotApplicable("no linear layer has the shape of an embedding")
    declared = _declares_tying(session.subject.config)
    alone = {h: head for h, head in heads.items() if not any(head is table for table in tables.values())}
    pairs = [(t, h) for t, h in product(tables, alone) if _copies(tables[t], alone[h])]
    if declared and not pairs:  # never tied at all; only a head is meant, and none that is an embedding already
        pairs = [(t, h) for t, h in product(tables, alone) if tables[t].shape == alone[h].shape and _is_head(h)]
    return Observation(
        {
            "untied_declared": Measurement(len(pairs) if declared else 0, "{pair}"),
            "untied_copies": Measurement(0 if declared else len(pairs), "{pair}"),
        },
        (Table("Equal, but not one", ("embedding", "linear layer"), tuple(pairs)),),
    )


def _weights(model: nn.Module, kind: type[nn.Module]) -> dict[str, Tensor]:
    # A parametrised weight is computed when read (a spectral norm then writes), and it is no parameter to be tied.
    found = (
        (name, module._parameters.get("weight")) for name, module in model.named_modules() if isinstance(module, kind)
    )
    return {name: weight for name, weight in found if weight is not None and weight.requires_grad}


def _is_head(name: str) -> bool:
    last = name.rsplit(".", 1)[-1].lower()
    return any(word in last for word in ("head", "logit", "unembed", "vocab")) or last in ("output", "generator")


def _copies(one: Tensor, two: Tensor) -> bool:
    # Constants are equal by accident; drawn values are not.
    return one.shape == two.shape and bool(torch.equal(one, two)) and bool((one != one.flatten()[0]).any())


def _declares_tying(config: Any) -> bool:
    if not isinstance(config, Mapping):
        return False
    own = (bool(_TYING.match(str(key).lower())) and value is True for key, value in config.items())
    return any(own) or any(_declares_tying(value) for value in config.values())


def _with_head(model: nn.Module) -> nn.Module:
    table = next(module for module in model.modules() if isinstance(module, nn.Embedding))
    heads = [m for m in model.modules() if isinstance(m, nn.Linear) and m.weight.shape == table.weight.shape]
    if not heads:
        raise NotApplicable("no linear layer has the shape of the embedding")
    heads[-1].weight = nn.Parameter(table.weight.detach().clone())
    return model


@fault(expect=Status.WARN, toy="causal_lm")
def head_copied_from_embedding(subject: Subject) -> Subject:
    """The head's weight is a clone of the embedding's."""
    return subject.map_model(_with_head)


@fault(toy="causal_lm")
def tied_in_words(subject: Subject) -> Subject:
    """The configuration says that the head is tied, and it is a clone."""
    copied = subject.map_model(_with_head)
    return replace(copied, config={"tie_word_embeddings": True})
