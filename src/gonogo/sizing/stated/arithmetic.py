"""Bytes per parameter that remedies leave on a device, and the lines of a memory plan that each may change.

Several layouts are right for one name: autocast keeps fp32 weights (4 + 4 + 8 bytes of AdamW), half-precision weights
take an fp32 master copy (2 + 2 + 4 + 8), and the copy may be counted with the states, with the weights or by itself.
"""

import re
from collections.abc import Collection, Iterable
from itertools import product

from gonogo.errors import SubjectError, did_you_mean

STATIC = ("weights", "gradients", "optimizer", "master")
Range = tuple[float, float]  # least and most bytes per parameter
Layout = dict[str, Range]  # by line of STATIC

_ALL = frozenset((*STATIC, "activations"))
_STATES = frozenset(("optimizer", "master"))
# What a remedy may change. Sharding divides (see SHARDED), and may share out the batch.
TOUCHES: dict[str, frozenset[str]] = {
    "fp32": _ALL,
    "autocast": frozenset(("activations",)),
    "mixed-precision": _ALL,
    "bf16": _ALL,
    "bf16-master": _ALL,
    "no-master": _ALL,
    "adamw": _STATES,
    "adamw8bit": _STATES,
    "lion": _STATES,
    "lion8bit": _STATES,
    "momentum": _STATES,
    "sgd": _STATES,
    "sophia": _STATES,
    "adafactor": _STATES,
    "checkpointing": frozenset(("activations",)),
    "fused-attention": frozenset(("activations",)),
    "micro-batch": frozenset(("activations",)),
    "sequence": frozenset(("activations",)),
    "accumulation": frozenset(("activations",)),
    "offload-activations": frozenset(("activations",)),
    "offload-states": _STATES | {"gradients"},
    "offload-parameters": frozenset(STATIC),
    "lora": _ALL,
    "ddp": frozenset(("activations",)),
    "zero1": frozenset(("activations",)),
    "zero2": frozenset(("activations",)),
    "fsdp": frozenset(("activations",)),
    "tensor-parallel": frozenset(("activations",)),
}
ALIASES = {
    "amp": "mixed-precision",
    "fp16": "mixed-precision",
    "mixed": "mixed-precision",
    "bf16-mixed": "mixed-precision",
    "fp16-mixed": "mixed-precision",
    "pure-bf16": "no-master",
    "8-bit-adamw": "adamw8bit",
    "8bit-adamw": "adamw8bit",
    "8-bit-optimizer": "adamw8bit",
    "activation-checkpointing": "checkpointing",
    "gradient-checkpointing": "checkpointing",
    "accumulate": "accumulation",
    "gradient-accumulation": "accumulation",
    "flash-attention": "fused-attention",
    "offload": "offload-states",
    "cpu-offload": "offload-states",
    "offload-optimizer": "offload-states",
    "zero3": "fsdp",
    "fsdp2": "fsdp",
    "sharding": "fsdp",
}
SHARDED = {
    "ddp": frozenset[str](),
    "zero1": _STATES,
    "zero2": _STATES | {"gradients"},
    "fsdp": frozenset(STATIC),
    "tensor-parallel": frozenset(STATIC),
}
OFFLOADS = frozenset(("offload-states", "offload-parameters"))
PRECISIONS = frozenset(("fp32", "autocast", "mixed-precision", "bf16", "bf16-master", "no-master"))
# States with fp32 and with bf16 moments. Low-bit ones carry block scales, and small tensors stay in 32 bits.
_MOMENTS: dict[str, tuple[Range, Range]] = {
    "adamw": ((8, 8), (4, 4)),
    "sophia": ((8, 8), (4, 4)),
    "lion": ((4, 4), (2, 2)),
    "momentum": ((4, 4), (2, 2)),
    "sgd": ((0, 0), (0, 0)),
    "adamw8bit": ((2, 2.07), (2, 2.07)),
    "lion8bit": ((1, 1.04), (1, 1.04)),
    "adafactor": ((0, 4), (0, 4)),
}


def remedy(text: str, where: str) -> str:
    """The name of a remedy in any of its spellings; a count such as `=8` is left out.

    Raises:
        SubjectError: None is called so; the message names the nearest.
    """
    plain = re.sub(r"[\s_]+", "-", text.split("=")[0].strip().lower())
    found = ALIASES.get(plain, plain)
    if found not in TOUCHES:
        known = (*TOUCHES, *ALIASES)
        raise SubjectError(
            f"{where}: no remedy is called {text!r}; known are {', '.join(TOUCHES)}.{_near(plain, known)}"
        )
    return found


def _near(name: str, known: Iterable[str]) -> str:
    return did_you_mean(name, known)


def touched(remedies: Iterable[str]) -> frozenset[str]:
    """The lines that any of the remedies may change."""
    return frozenset().union(*(TOUCHES[one] for one in remedies))


def sharded(remedies: Iterable[str]) -> frozenset[str]:
    """The lines of which each device holds only its part."""
    return frozenset().union(*(SHARDED.get(one, frozenset()) for one in remedies))


def layouts(remedies: Collection[str]) -> list[Layout]:
    """All right bytes per parameter under the remedies in force, the later replacing the earlier of their kind."""
    precision = next((one for one in reversed(list(remedies)) if one in PRECISIONS), "fp32")
    moments = next((_MOMENTS[one] for one in reversed(list(remedies)) if one in _MOMENTS), _MOMENTS["adamw"])
    found = list(_without_master(precision, moments)) + list(_with_master(precision, moments[0]))
    return [one for layout in found for one in _reduced(layout, remedies)]


def _without_master(precision: str, moments: tuple[Range, Range]) -> Iterable[Layout]:
    if precision in ("fp32", "autocast", "mixed-precision"):
        yield {"weights": (4, 4), "gradients": (4, 4), "optimizer": moments[0], "master": (0, 0)}
    if precision in ("bf16", "no-master"):
        for gradient, states in product((2, 4), dict.fromkeys((moments[1], moments[0]))):
            yield {"weights": (2, 2), "gradients": (gradient, gradient), "optimizer": states, "master": (0, 0)}


def _with_master(precision: str, states: Range) -> Iterable[Layout]:
    if precision not in ("mixed-precision", "bf16", "bf16-master"):
        return
    both = (states[0] + 4, states[1] + 4)
    for gradient in ((2, 2), (4, 4)):
        yield {"weights": (2, 2), "gradients": gradient, "optimizer": states, "master": (4, 4)}
        yield {"weights": (2, 2), "gradients": gradient, "optimizer": both, "master": (0, 0)}
        yield {"weights": (6, 6), "gradients": gradient, "optimizer": states, "master": (0, 0)}


def _reduced(layout: Layout, remedies: Collection[str]) -> Iterable[Layout]:
    if "lora" in remedies:  # what is trained is a part that the plan need not state
        layout = {line: (0, most) for line, (_, most) in layout.items()}
    if "offload-parameters" in remedies:  # blocks in use are still on the device
        yield {line: (0, most) for line, (_, most) in layout.items()}
    elif "offload-states" in remedies:
        left = layout | {"optimizer": (0, 0), "master": (0, 0)}
        left |= {"weights": (2, 2)} if layout["weights"] == (6, 6) else {}
        yield left
        yield left | {"gradients": (0, 0)}
    else:
        yield layout
