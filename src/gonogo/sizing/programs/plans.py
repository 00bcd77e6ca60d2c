"""The files that `gonogo size` reads: a plan in YAML, the config.json of a published model, or its id."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.core.profile import parse_yaml
from gonogo.errors import SubjectError, did_you_mean
from gonogo.sizing.card import fake_card
from gonogo.sizing.programs import decoder
from gonogo.sizing.programs.program import Program

TRAINING = ("sequence", "micro_batch", "accumulation", "optimizer", "strategy", "gpus", "tokens", "days")
TRAINING += ("checkpoint_every", "keep", "price_per_hour")
SECTIONS = ("name", "model", "training", "claims", "memory_plan")
SEQUENCE = 2048
LARGEST = 1 << 40  # of any stated size: beyond it a number is a slip


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file states: the program, and the facts of its training by name (TRAINING)."""

    name: str
    program: Program
    training: Mapping[str, Any]


def read(path: Path, *, sequence: int | None = None, batch: int | None = None) -> Plan:
    """The plan in a file; `sequence` and `batch` replace what it says.

    Raises:
        SubjectError: It cannot be read, or says something impossible.
    """
    try:
        stated = parse_yaml(path.read_text(encoding="utf-8"), str(path))  # JSON is YAML
    except OSError as error:
        raise SubjectError(f"{path} cannot be read: {error.strerror}") from None
    model = stated.get("model", stated)
    if not isinstance(model, Mapping):
        raise SubjectError(f"{path}: model is {type(model).__name__}; expected the keys of a config.json")
    if "model" in stated:
        _refuse_unknown(stated, SECTIONS, str(path))
    training = dict(stated.get("training") or {}) if "model" in stated else {}
    _refuse_unknown(training, TRAINING, f"{path}: training")
    training |= {"sequence": sequence} if sequence else {}
    training |= {"micro_batch": batch} if batch else {}
    name = str(stated.get("name") or path.stem)
    return of_config(model, training, name, f"{path}: model" if "model" in stated else str(path))


def of_id(name: str, *, sequence: int | None = None, batch: int | None = None) -> Plan:
    """The plan of a model that the transformers library knows by its id.

    Raises:
        SubjectError: The library is not installed, or cannot find the model.
    """
    library = _library(f"{name} is the id of a published model")
    try:
        config = library.AutoConfig.from_pretrained(name).to_dict()
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise SubjectError(f"{name}: transformers finds no such model here ({first}); give its config.json") from None
    return of_config(config, {"sequence": sequence, "micro_batch": batch}, name, name)


def of_config(config: Mapping[str, Any], training: Mapping[str, Any], name: str, where: str) -> Plan:
    """The plan of a configuration with the facts of its training."""
    facts = {key: value for key, value in training.items() if value is not None}
    sequence = _whole(facts, "sequence", config.get("max_position_embeddings") or SEQUENCE, where)
    facts.setdefault("sequence", min(sequence, SEQUENCE) if "sequence" not in facts else sequence)
    rows, micro = _whole(facts, "micro_batch", 1, where), _whole(facts, "accumulation", 1, where)
    vocabulary, build = _model(config, int(facts["sequence"]), where)
    shape = (rows, int(facts["sequence"]))
    program = Program(
        name,
        build,
        lambda: _tokens(shape, vocabulary),
        decoder.next_token_loss,
        lambda model: [torch.optim.AdamW(model.parameters())],
        micro=micro,
        tokens=rows * shape[1],
    )
    return Plan(name, program, facts)


def _model(config: Mapping[str, Any], length: int, where: str) -> tuple[int, Callable[[], nn.Module]]:
    family = str(config.get("model_type", "llama"))
    if family in decoder.FAMILY:
        shape = decoder.shape_of(config, where)
        return shape.vocab_size, lambda: _on_card(lambda: decoder.Decoder(shape, length))
    library = _library(f"{where}: model_type {family!r} is not of the Llama shape ({', '.join(decoder.FAMILY)})")
    try:
        known = library.AutoConfig.for_model(**config)
    except (ValueError, TypeError, KeyError) as error:
        raise SubjectError(f"{where}: {str(error).strip().splitlines()[0]}") from None
    return int(known.vocab_size), lambda: _on_card(lambda: _Scores(library.AutoModelForCausalLM.from_config(known)))


class _Scores(nn.Module):
    """A model of the library, answering with its scores alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(input_ids=tokens, use_cache=False).logits


def _on_card(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device(fake_card.DEVICE):
        return build()


def _tokens(shape: tuple[int, int], vocabulary: int) -> tuple[Tensor, Tensor]:
    first, second = (torch.randint(0, vocabulary, shape, device=fake_card.DEVICE) for _ in range(2))
    return first, second


def _library(why: str) -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError:
        raise SubjectError(f"{why}, which takes the transformers library: pip install transformers") from None


def _whole(facts: Mapping[str, Any], key: str, default: int, where: str) -> int:
    value = facts.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
        raise SubjectError(f"{where}: {key} is {value!r}; expected a whole number from 1 to {LARGEST}")
    return value


def _refuse_unknown(given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in known:
            near = did_you_mean(str(key), known)
            raise SubjectError(f"{where}: unknown key {key!r}; known are {', '.join(known)}.{near}")
