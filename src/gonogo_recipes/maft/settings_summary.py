"""What was set, what it takes, and what to think about before it is started."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import psutil
import torch

from gonogo_recipes.maft.batch import STREAMS
from gonogo_recipes.maft.model import build_model
from gonogo_recipes.maft.settings_fields import SECTIONS, SHARED, Settings
from gonogo_recipes.maft.settings_presets import PRESETS

ROOM = 0.9  # of the free memory; the rest is for the data, the interpreter and whatever else runs


class Advice(NamedTuple):
    """Something legal that may not be meant, and what would mend it."""

    warning: str
    recommendation: str


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the training would run: free memory in bytes, and CPUs."""

    memory: int
    cpus: int


def this_machine() -> Machine:
    """The one that asks."""
    return Machine(psutil.virtual_memory().available, os.cpu_count() or 1)


def summary(settings: Settings, machine: Machine | None = None) -> str:
    """Every value, what the training takes, warnings and recommendations, as text.

    Values that differ from those of the size are marked with *.
    """
    here = machine or this_machine()
    advice = list(advices(settings, here))
    parts = [f"MAFT, size {settings.size} (* differs from it)"]
    parts += ["\n".join([name, *_values(settings, name)]) for name in SECTIONS]
    parts.append("\n".join(["estimates", *_rows(_estimates(settings, here))]))
    parts.append(_listed("warnings", [one.warning for one in advice]))
    parts.append(_listed("recommendations", [one.recommendation for one in advice]))
    return "\n\n".join(parts)


def advices(settings: Settings, machine: Machine) -> Iterator[Advice]:
    """What is legal and worth a second thought, on this machine."""
    needed, room = training_bytes(settings), ROOM * machine.memory
    if needed > room:
        yield Advice(
            f"training.batch_size {settings.training.batch_size} takes about {_gib(needed)}, "
            f"and {_gib(machine.memory)} are free",
            _smaller_batch(settings, room),
        )
    if settings.data.num_workers > machine.cpus:
        yield Advice(
            f"data.num_workers {settings.data.num_workers} is more than the {machine.cpus} CPUs of this machine",
            f"data.num_workers {machine.cpus - 1} leaves one to the training",
        )
    if settings.model.modality_dropout > 2 / 3:
        yield Advice(
            f"model.modality_dropout {settings.model.modality_dropout:g} is not reached: one of three always remains",
            "model.modality_dropout 0.667 at most; 0.1 to 0.3 is common",
        )
    if settings.model.variant == "maft" and settings.model.fusion_layers == 1:
        yield Advice(
            "model.fusion_layers 1: no stream reaches the tokens of another, for the way through bottlenecks takes two",
            "model.fusion_layers 2 or more",
        )
    if settings.model.variant == "legacy":
        yield Advice(
            "model.variant legacy keeps the defects of the origin", "model.variant maft for anything that counts"
        )


def training_bytes(settings: Settings) -> int:
    """Bytes of a float32 training step with AdamW, estimated: weights, gradients, two states, kept activations."""
    return 16 * parameters(settings) + settings.training.batch_size * activation_bytes(settings)


def parameters(settings: Settings) -> int:
    """Parameters of the model, counted without allocating it."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build_model(settings).parameters())


def activation_bytes(settings: Settings) -> int:
    """Bytes that one sample of full length keeps for the backward pass, estimated from the shapes."""
    model, lengths = settings.model, [getattr(settings.data, f"{stream}_length") for stream in STREAMS]
    if model.variant == "legacy":
        every = sum(lengths) + model.bottlenecks
        recurrent = sum(_lstm_values(length, model.hidden_dim, 2) for length in lengths[1:])
        return 4 * (recurrent + model.fusion_layers * _block_values(settings, every))
    if model.encoder == "lstm":
        alone = sum(_lstm_values(length, model.hidden_dim, model.num_layers) for length in lengths)
    else:
        alone = sum(model.num_layers * _block_values(settings, length) for length in lengths)
    fused = sum(model.fusion_layers * _block_values(settings, length + model.bottlenecks) for length in lengths)
    return 4 * (alone + fused)


def _block_values(settings: Settings, length: int) -> int:
    """Values that a transformer block keeps: some widths per token, and with dropout also its attention weights."""
    model = settings.model
    weights = 3 * model.num_heads * length if model.dropout else 0  # the fused kernel without dropout keeps none
    return length * ((22 if model.dropout else 17) * model.hidden_dim + weights)


def _lstm_values(length: int, dim: int, layers: int) -> int:
    """Gates, cells, outputs and packed copies of both directions."""
    return length * layers * 28 * dim


def _smaller_batch(settings: Settings, room: float) -> str:
    fits = int((room - 16 * parameters(settings)) // activation_bytes(settings))
    if fits < 1:
        return "a smaller model: not even one sample fits; model.hidden_dim counts most"
    return f"training.batch_size {fits}, or shorter data.*_length"


def _estimates(settings: Settings, machine: Machine) -> dict[str, str]:
    batches = -(-settings.data.samples // settings.training.batch_size)
    return {
        "parameters": f"{parameters(settings):,}",
        "updates": f"{batches * settings.training.epochs:,} in {settings.training.epochs} epochs of {batches:,}",
        "memory of a step": f"{_gib(training_bytes(settings))}, float32 with AdamW",
        "this machine": f"{_gib(machine.memory)} free, {machine.cpus} CPUs",
    }


def _values(settings: Settings, name: str) -> list[str]:
    section, preset = getattr(settings, name), PRESETS[settings.size].get(name, {})
    followed = {key: getattr(settings.model, key) for key in SHARED} if name == "data" else {}
    usual = SECTIONS[name].model_validate({**followed, **preset})
    changed = {key for key in type(section).model_fields if getattr(section, key) != getattr(usual, key)}
    return _rows({key: f"{_yaml(value)}{' *' * (key in changed)}" for key, value in section})


def _yaml(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _rows(values: dict[str, str]) -> list[str]:
    return [f"  {key:<22}{value}" for key, value in values.items()]


def _listed(title: str, lines: list[str]) -> str:
    return "\n".join([title, *([f"  - {line}" for line in lines] or ["  none"])])


def _gib(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.0f} MiB"
