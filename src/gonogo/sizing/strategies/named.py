"""Strategies by name: ways to train the same program in other memory, each a transformation of it.

`parse` reads "bf16,adamw8bit,checkpointing,fsdp", refuses what contradicts itself, and puts the rest into the order in
which strategies compose; `apply` makes the program of them. With several GPUs that is the program of one rank.

Static memory (weights, gradients, optimizer states) does not depend on the batch: `accumulate` leaves it as it is, and
adds the accumulated gradients where they could otherwise be given back between micro-batches (fsdp, zero2). It helps
only where it replaces a larger micro-batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from gonogo.errors import SubjectError, did_you_mean
from gonogo.sizing.card import kernels
from gonogo.sizing.programs.blocks import checkpointing
from gonogo.sizing.programs.program import Program
from gonogo.sizing.strategies import batches, frozen, optimizers, precision, sharding

# In the order in which they compose.
NAMES: Mapping[str, str] = {
    "micro-batch": "N: rows in one micro-batch",
    "sequence": "N: positions of every sequence",
    "fp32": "weights, gradients and states in float32",
    "bf16": "weights, gradients and states in bfloat16, without fp32 copies (small updates are rounded away)",
    "fp16": "the same in float16 (and needs its loss scaled)",
    "amp": "autocast to bf16, or amp=fp16; weights stay as they are",
    "frozen": "PATTERN: parameters with such names do not learn",
    "lora": "R: a frozen base, adapters of rank R beside the linear layers of its blocks",
    "attention": "fused (what CUDA chooses), or math (scores written out)",
    "checkpointing": "blocks keep their inputs alone and run forward again in backward",
    "adamw8bit": "AdamW with 8-bit states: 2.03 bytes a parameter",
    "adamw-fused": "AdamW in one kernel, without temporaries",
    "adamw-foreach": "AdamW over lists of parameters, CUDA's default: a temporary of all states of one kind",
    "adamw-for-loop": "AdamW parameter by parameter: slow, small temporaries",
    "sgd": "SGD with momentum 0.9: one state for each parameter",
    "offload-states": "optimizer states and fp32 weights on the host; gradients go there, weights come back",
    "ddp": "all on every GPU, and gradients once more in the buckets that are reduced (the default of several GPUs)",
    "zero1": "ddp with optimizer states shared out",
    "zero2": "zero1 with gradients shared out",
    "fsdp": "weights, gradients and states in shards (FSDP2, ZeRO 3); blocks are gathered while they work",
    "offload-parameters": "fsdp with shards, gradients and states on the host",
    "master": "bf16 weights and gradients, fp32 copies and states: 16 bytes a parameter with AdamW",
    "accumulate": "N: micro-batches for one update; nothing gained for static memory",
}
ALIASES = {"zero3": "fsdp", "lowrank": "lora", "fp32-master": "master", "adamw-for": "adamw-for-loop"}
EXCLUSIVE = (
    ("fp32", "bf16", "fp16", "amp", "master"),
    ("ddp", "zero1", "zero2", "fsdp"),
    ("adamw8bit", "adamw-fused", "adamw-foreach", "adamw-for-loop", "sgd"),
    ("offload-states", "offload-parameters"),
)
_COUNTED = ("micro-batch", "sequence", "lora", "accumulate")
_VALUES = {"amp": ("bf16", "fp16"), "attention": ("fused", "math")}
_NO_RECORD = "there is no record of a real card to compare it with"
_VALIDATED = ("micro-batch", "sequence", "fp32", "amp", "attention=math", "adamw-foreach")
_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to change what a program takes.

    Attributes:
        name: As it is written, with its value.
        title: What it does, in words.
        apply: The program under it.
        host_bytes_per_parameter: On the host, bytes for each parameter of the model, all ranks together.
        unvalidated: Why its figures carry a wider margin; empty where recorded steps confirm them.
    """

    name: str
    title: str
    apply: Callable[[Program], Program]
    host_bytes_per_parameter: float = 0.0
    unvalidated: str = ""


def apply(program: Program, strategies: Sequence[Strategy]) -> Program:
    """The program under strategies, in the order in which they are given: that of `parse`."""
    for strategy in strategies:
        program = strategy.apply(program)
    return program


def parse(text: str, gpus: int = 1) -> tuple[Strategy, ...]:
    """The strategies of a comma-separated list for one of `gpus` ranks; several without any sharding are "ddp".

    Raises:
        SubjectError: A name is unknown, a value is wrong, or strategies contradict each other.
    """
    chosen: dict[str, str] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = word.partition("=")
        name = ALIASES.get(name.strip(), name.strip())
        if name not in NAMES:
            raise SubjectError(f"unknown strategy {name!r}; known are {', '.join(NAMES)}.{did_you_mean(name, NAMES)}")
        if name in chosen:
            raise SubjectError(f"strategy {name} is given twice, as {_written(name, chosen[name])} and as {word}")
        chosen[name] = _checked(name, value.strip())
    _consistent(chosen, gpus)
    if gpus > 1 and not chosen.keys() & {"ddp", "zero1", "zero2", "fsdp"}:
        chosen["ddp"] = ""
    return tuple(_strategy(name, chosen, gpus) for name in NAMES if name in chosen)


def _checked(name: str, value: str) -> str:
    if name in _COUNTED and not (value.isdecimal() and 1 <= int(value) <= 1 << 40):
        raise SubjectError(f"strategy {name}={value}: expected a whole number of at least 1, as in {name}=16")
    if name == "frozen" and not value:
        raise SubjectError("strategy frozen: which parameters? expected a pattern of names, as in frozen=encoder.*")
    if name in _VALUES and value not in ("", *_VALUES[name]):
        near = did_you_mean(value, _VALUES[name])
        raise SubjectError(f"strategy {name}={value}: expected {' or '.join(_VALUES[name])}.{near}")
    if value and name not in (*_COUNTED, *_VALUES, "frozen"):
        raise SubjectError(f"strategy {name} takes no value; found {name}={value}")
    return value or (_VALUES[name][0] if name in _VALUES else "")


def _consistent(chosen: Mapping[str, str], gpus: int) -> None:
    for group in EXCLUSIVE:
        both = [name for name in group if name in chosen]
        if len(both) > 1:
            raise SubjectError(f"strategies {both[0]} and {both[1]} contradict each other; choose one of them")
    shared = [name for name in ("ddp", "zero1", "zero2", "fsdp") if name in chosen]
    if shared and gpus < 2:
        raise SubjectError(f"strategy {shared[0]} shares a model out over several GPUs; found {gpus}")
    if "offload-parameters" in chosen and gpus > 1 and "fsdp" not in chosen:
        raise SubjectError("strategy offload-parameters on several GPUs is a part of fsdp; add fsdp, or take one GPU")


def _written(name: str, value: str) -> str:
    return f"{name}={value}" if value else name


def _strategy(name: str, chosen: Mapping[str, str], gpus: int) -> Strategy:
    written = _written(name, chosen[name])
    known = name in _VALIDATED or written in _VALIDATED
    strategy = Strategy(written, NAMES[name], _change(name, chosen, gpus), unvalidated="" if known else _NO_RECORD)
    if name in ("offload-states", "offload-parameters"):
        strategy = replace(strategy, host_bytes_per_parameter=_on_host(name, chosen))
    return strategy


def _on_host(name: str, chosen: Mapping[str, str]) -> float:
    """Bytes: states, with fp32 copies of the weights (offloaded states) or weights and gradients (parameters)."""
    half = chosen.keys() & _HALF.keys()
    width = 2 if half and name == "offload-parameters" else 4
    states = 2 + 8 / optimizers.BLOCK if "adamw8bit" in chosen else width if "sgd" in chosen else 2 * width
    if "lora" in chosen:  # what learns is a few thousandths
        return float(width) if name == "offload-parameters" else 0.0
    return states + width * (2 if name == "offload-parameters" else 1)


def _change(name: str, chosen: Mapping[str, str], gpus: int) -> Callable[[Program], Program]:
    value = chosen[name]
    fixed: dict[str, Callable[[Program], Program]] = {
        "fp32": partial(precision.weights_in, dtype=torch.float32),
        "bf16": partial(precision.weights_in, dtype=torch.bfloat16),
        "fp16": partial(precision.weights_in, dtype=torch.float16),
        "checkpointing": checkpointing,
        "adamw8bit": optimizers.eight_bit,
        "sgd": optimizers.momentum,
        "offload-states": optimizers.on_host,
        "ddp": sharding.data_parallel,
        "zero1": partial(sharding.states_sharded, gpus=gpus),
        "zero2": partial(sharding.gradients_sharded, gpus=gpus),
        "fsdp": _fsdp(chosen, gpus) if "offload-parameters" not in chosen else _same,
        "offload-parameters": _fsdp(chosen, gpus),
        "master": _master(chosen),
    }
    if name in fixed:
        return fixed[name]
    if name.startswith("adamw-"):
        return partial(optimizers.kernels, choice=name.removeprefix("adamw-"))
    return _with_value(name, value)


def _with_value(name: str, value: str) -> Callable[[Program], Program]:
    if name == "amp":
        return partial(precision.autocast, dtype=_HALF[value])
    if name == "attention":
        return lambda program: replace(program, around=(*program.around, lambda: kernels.attention_by(value)))
    if name == "frozen":
        return partial(frozen.frozen, pattern=value)
    changes: dict[str, Callable[[Program, int], Program]] = {
        "micro-batch": batches.rows,
        "sequence": batches.length,
        "lora": frozen.adapters,
        "accumulate": batches.accumulate,
    }
    return lambda program: changes[name](program, int(value))


def _fsdp(chosen: Mapping[str, str], gpus: int) -> Callable[[Program], Program]:
    offload = "offload-parameters" in chosen
    return partial(sharding.fully_sharded, gpus=gpus, mixed="master" in chosen, offload=offload)


def _master(chosen: Mapping[str, str]) -> Callable[[Program], Program]:
    if chosen.keys() & {"fsdp", "offload-parameters"}:
        return _same  # shards are the fp32 copies; fully_shard gathers bf16 ones
    if "offload-states" in chosen:
        return partial(precision.weights_in, dtype=torch.bfloat16)  # the copies are on the host
    return precision.master_weights


def _same(program: Program) -> Program:
    return program
