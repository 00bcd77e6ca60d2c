"""MAFT as a subject: what gonogo measures is what `gonogo train maft` trains."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gonogo.adapters.plain import from_parts
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject
from gonogo_recipes.maft import settings_presets
from gonogo_recipes.maft.batch import GROUP, LABEL, STREAMS, Batch, mask_key
from gonogo_recipes.maft.data import TASKS, datasets
from gonogo_recipes.maft.settings import CONFIG, ModelSettings, Settings, load
from gonogo_recipes.maft.train import build_data, build_trainer, held_out

# As published in README.md; other models claim nothing.
PARAMETERS = {"tiny": 37_882, "small": 185_610, "base": 141_666_058}
BOTTLENECK = {"maft": "fusion.layers.0", "legacy": "fusion.layers.layers.0"}  # the first layer of fusion
# Settings of the data that only these tasks read; the generated ones read no file.
READ_BY = {"correlation": {"correlated"}, "align_words": {"csd"}}
OF_FILES = ("path", "nonfinite")
ANSWERS = ("logits", "regression", *(f"logits_{stream}" for stream in STREAMS))


def build(config: Mapping[str, Any] | str | None = None, **overrides: Any) -> Subject:
    """The run of these settings: `build()`, `build(size="small")`, `build("mine.yaml", **{"model.num_heads": 8})`.

    Without a file and a size it is the tiny one: the same code, within a minute or two on a CPU.

    Raises:
        SubjectError: A setting cannot be used.
    """
    if config is None:
        overrides = {"size": "tiny", **overrides}
    settings = load(CONFIG if config is None else config, overrides)
    splits = datasets(settings.data)

    def parts() -> dict[str, Any]:
        data = build_data(settings, splits)
        trainer = build_trainer(settings, data.steps)
        return {
            **trainer.parts(),
            "name": "maft",
            "train_loader": data.train,
            "valid_loader": data.valid(),
            "test_loader": held_out(settings, splits["test"]),
            "predict": predict,
            "config": in_effect(settings),
            "config_file": None if isinstance(config, Mapping) else Path(config or CONFIG),
            "overrides": [f"{key}={value}" for key, value in overrides.items()],
            "claims": claims(settings, data.steps),
            "proxy": proxy(settings),
        }

    return replace(from_parts(parts(), parts, "maft"), with_config=build)


def in_effect(settings: Settings) -> dict[str, Any]:
    """The settings that the task reads: a key of another task does nothing here, and is no part of this run."""
    content, task = settings.model_dump(mode="json"), settings.data.task
    others = {key for key, tasks in READ_BY.items() if task not in tasks} | set(OF_FILES if task in TASKS else ())
    return {**content, "data": {key: value for key, value in content["data"].items() if key not in others}}


def predict(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """The answers [b, c] and [b, 1] of the model, without what only its loss needs."""
    outputs = model(batch)
    return {name: outputs[name] for name in ANSWERS}


def claims(settings: Settings, total_steps: int) -> Claims:
    """What is said to be true of a run of these settings."""
    preset = ModelSettings.model_validate(settings_presets.PRESETS[settings.size].get("model", {}))
    return Claims(
        classes=settings.model.num_classes,
        parameters=PARAMETERS[settings.size] if settings.model == preset else None,
        target=LABEL,
        group_key=None if settings.data.task in TASKS else GROUP,
        modalities=STREAMS,
        bottleneck=BOTTLENECK[settings.model.variant],
        masks={stream: mask_key(stream) for stream in STREAMS},
        max_norm=settings.training.max_norm,
        final_lr=0.0,
        total_steps=total_steps,
        resume="exact",
    )


def proxy(settings: Settings) -> str:
    """What the run is a stand-in for; empty for the full model on a real corpus."""
    synthetic = "synthetic clips in place of a corpus" if settings.data.task in TASKS else ""
    reduced = f"a model of width {settings.model.hidden_dim} in place of 768" if settings.size != "base" else ""
    return "; ".join(part for part in (synthetic, reduced) if part)
