"""Freezing that freezes nothing: `layer.requires_grad = False` sets an attribute of the layer, and no more.

The same is true of a misspelt attribute of a parameter, such as `weight.require_grad = False`.
"""

import re
from collections.abc import Iterator

from torch import nn

from gonogo.watch.patch import Undo, quietly
from gonogo.watch.tracer import Tracer

MEANT = re.compile(r"requires?d?_?grad(s|ients?)?", re.IGNORECASE)
LOOKS = (*range(1, 13), 50)  # steps after which attributes are read: of networks that take turns each has its own
MOST = 50


def install(tracer: Tracer) -> list[Undo]:
    """Read the attributes of models and parameters now and then; only what is False each time is meant to stay."""
    lasting: list[dict[str, list[int]]] = []

    @quietly
    def look() -> None:
        if tracer.steps not in LOOKS:
            return
        found = {
            f"{number}:{name}": [tracer.number("parameter", one)[0] for one in parameters]
            for number, model in tracer.all_of("model")
            for name, parameters in in_name_only(model)
        }
        before = lasting.pop() if lasting else found
        lasting.append({name: held for name, held in before.items() if name in found})
        if before:
            names = list(lasting[0].items())[:MOST]
            tracer.emit("frozen_in_name", attributes=[[name.split(":")[1], held] for name, held in names])

    tracer.on_step.append(look)
    return []


def in_name_only(model: nn.Module) -> Iterator[tuple[str, list[nn.Parameter]]]:
    """(attribute, parameters that are trainable all the same) for each that is meant to freeze."""
    for prefix, module in model.named_modules():
        for attribute in _meant(module):
            yield f"{prefix}.{attribute}".lstrip("."), [one for one in module.parameters() if one.requires_grad]
        for name, parameter in module.named_parameters(prefix, recurse=False):
            for attribute in _meant(parameter) if parameter.requires_grad else ():
                yield f"{name}.{attribute}", [parameter]


def _meant(thing: object) -> list[str]:
    own = getattr(thing, "__dict__", {})
    return [name for name, value in own.items() if value is False and MEANT.fullmatch(name)]
