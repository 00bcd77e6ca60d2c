"""An embedding and a head that start equal and drift apart were meant to be one."""

from collections.abc import Mapping
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
        `untied_declared` counts them where a key such as tie_word_embeddings is true in the configuration,
        `untied_copies` where nothing is declared.
    Why: a copy, a deepcopy of parts, or loading after tying separates the two; from the first step on they learn
        different things, and the parameter count is off by the size of the vocabulary.
    Fix: assign the same nn.Parameter (head.weight = embedding.weight) after everything else has been built or loaded.
    Shapes: (vocabulary, dim).
    Units: untied_declared, untied_copies: pairs.
    Source: ours; transformers tie_weights.
    """
    model = session.model
    tables = {n: m.weight for n, m in model.named_modules() if isinstance(m, nn.Embedding) and m.weight.requires_grad}
    heads = {n: m.weight for n, m in model.named_modules() if isinstance(m, nn.Linear) and m.weight.requires_grad}
    if not any(table.shape == head.shape for table, head in product(tables.values(), heads.values())):
        raise NotApplicable("no linear layer has the shape of an embedding")
    pairs = [(t, h) for t, h in product(tables, heads) if tables[t] is not heads[h] and _copies(tables[t], heads[h])]
    declared = _declares_tying(session.subject.config)
    return Observation(
        {
            "untied_declared": Measurement(len(pairs) if declared else 0, "{pair}"),
            "untied_copies": Measurement(0 if declared else len(pairs), "{pair}"),
        },
        (Table("Equal, but not one", ("embedding", "linear layer"), tuple(pairs)),),
    )


def _copies(one: Tensor, two: Tensor) -> bool:
    # Constants are equal by accident; drawn values are not.
    return one.shape == two.shape and bool(torch.equal(one, two)) and bool((one != one.flatten()[0]).any())


def _declares_tying(config: Any) -> bool:
    if not isinstance(config, Mapping):
        return False
    own = (str(key).lower().startswith(("tie_", "tied")) and value is True for key, value in config.items())
    return any(own) or any(_declares_tying(value) for value in config.values())


@fault(expect=Status.WARN, toy="causal_lm")
def head_copied_from_embedding(subject: Subject) -> Subject:
    """The head's weight is a clone of the embedding's."""

    def change(model: nn.Module) -> nn.Module:
        table = next(module for module in model.modules() if isinstance(module, nn.Embedding))
        heads = [m for m in model.modules() if isinstance(m, nn.Linear) and m.weight.shape == table.weight.shape]
        if not heads:
            raise NotApplicable("no linear layer has the shape of the embedding")
        heads[-1].weight = nn.Parameter(table.weight.detach().clone())
        return model

    return subject.map_model(change)
