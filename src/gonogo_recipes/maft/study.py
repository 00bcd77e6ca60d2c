"""MAFT against its baselines by one procedure: `gonogo study maft`.

Every variant gets the same data, loss, optimizer, schedule, number of updates and seeds; weights are chosen by the same
validation, and each is scored once on the test split, also with one stream muted. Baselines are widened until they have
about as many parameters as MAFT. What is not the same is listed in the report.
"""

import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.study.design import Fact, Metric, Point, Study, Trial
from gonogo.training import device as devices
from gonogo.training.seeding import seed_all
from gonogo_recipes.common import fit as fitting
from gonogo_recipes.common.trainer import Trainer
from gonogo_recipes.maft import baselines
from gonogo_recipes.maft.batch import LABEL, SCORE, STREAMS, keep_only
from gonogo_recipes.maft.data import datasets
from gonogo_recipes.maft.evaluate import answers, measured
from gonogo_recipes.maft.settings import Settings, load
from gonogo_recipes.maft.train import build_data, build_trainer, held_out, identity

# The task that no stream answers alone, in a run long enough to align them.
STRESSED_WORD = Path(__file__).parent / "configs" / "stressed_word.yaml"
DROPOUT = 0.15  # of each modality, in the variant that has it
METRICS = (Metric("accuracy"), Metric("f1-weighted"), Metric("mae", higher_is_better=False), Metric("pearson"))
MAFT, CONSTANT = "MAFT", "constant"
NAMES = {
    "text-only": "text only",
    "late-fusion": "late fusion",
    "early-fusion": "early fusion",
    "early-fusion-aligned": "early fusion, given the alignment",
}
NOTES = {
    f"{MAFT}, modality dropout": f"each stream dropped at a rate of {DROPOUT}, never all",
    "early fusion": "steps of equal index stand together",
    "early fusion, given the alignment": "each word comes with its frames: MAFT must find that out",
    CONSTANT: "most frequent class, median score; not trained",
}
_WINDOW = 25  # updates that one point of the training curve averages


def build(config: str | None = None, *, device: str = "auto", **overrides: Any) -> Study:
    """The study of a task, by default the stressed word; settings come from a YAML file and dotted overrides.

    Raises:
        SubjectError: A setting cannot be used.
    """
    settings = load(config or STRESSED_WORD, overrides)
    trained = partial(_trained, settings, device)
    variants = {
        MAFT: partial(trained, None, 0.0),
        f"{MAFT}, modality dropout": partial(trained, None, DROPOUT),
        **{name: partial(trained, kind, 0.0) for kind, name in NAMES.items()},
        CONSTANT: partial(_constant, settings),
    }
    synthetic = settings.data.task in ("stressed-word", "correlated")
    return Study(
        name=f"MAFT against its baselines: {settings.data.task}",
        variants=variants,
        reference=MAFT,
        metrics=METRICS,
        constant=CONSTANT,
        notes=NOTES,
        identity=identity(settings),
        proxy=f"{settings.data.task} is synthetic: it says nothing about real clips" if synthetic else "",
    )


def _trained(settings: Settings, device: str, kind: str | None, modality_dropout: float, seed: int) -> Trial:
    """One variant, trained as `gonogo train maft` trains, in a folder that is thrown away."""
    settings = _with(settings, "training", seed=seed)
    settings = _with(settings, "model", modality_dropout=modality_dropout)
    seed_all(seed)
    splits = datasets(settings.data)
    data = build_data(settings, splits)
    model = baselines.matched(kind, settings) if kind else None
    trainer = build_trainer(settings, data.steps, devices.choose(device), model)
    lines: list[Mapping[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        fitting.fit(trainer, data, Path(folder), listen=lambda line, end: lines.append(line))
    trainer.model.load_state_dict(trainer.best_weights())
    return Trial(
        **_evaluated(settings, trainer.model, splits["test"]),
        curves=_curves(lines),
        procedure=_procedure(settings, trainer),
        parameters=baselines.count(trainer.model),
    )


def _constant(settings: Settings, seed: int) -> Trial:
    """The answer without looking; it is the same for every seed."""
    splits = datasets(settings.data)
    batches = list(held_out(settings, splits["train"]))
    labels, scores = (torch.cat([batch[key] for batch in batches]) for key in (LABEL, SCORE))
    model = baselines.Constant(labels, scores, settings.model.num_classes)
    return Trial(**_evaluated(settings, model, splits["test"]), parameters=0)


def _evaluated(settings: Settings, model: nn.Module, split: Any) -> dict[str, Any]:
    """Metrics, those of single test samples, and the metrics with each stream muted in turn."""
    _, *columns = answers(settings, model, held_out(settings, split))
    views = {
        f"without {muted}": measured(*answers(settings, model, _without(muted, held_out(settings, split)))[1:])
        for muted in STREAMS
    }
    return {"metrics": measured(*columns), "samples": _by_sample(*columns), "views": views}


def _without(muted: str, batches: Any) -> Iterator[Any]:
    kept = [stream for stream in STREAMS if stream != muted]
    return (keep_only(batch, kept) for batch in batches)


def _by_sample(classes: Tensor, scores: Tensor, labels: Tensor, truth: Tensor) -> dict[str, tuple[float, ...]]:
    return {
        "accuracy": tuple((classes == labels).double().tolist()),
        "mae": tuple((scores - truth).abs().double().tolist()),
    }


def _curves(lines: list[Mapping[str, Any]]) -> dict[str, tuple[Point, ...]]:
    """The training loss as means of stretches, and the accuracy of each validation."""
    losses = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    stretches = [losses[start : start + _WINDOW] for start in range(0, len(losses), _WINDOW)]
    valid = [(line["step"], line["valid"]["accuracy"]) for line in lines if "valid" in line]
    means = [(stretch[-1][0], sum(loss for _, loss in stretch) / len(stretch)) for stretch in stretches]
    return {"training loss": tuple(means), "validation accuracy": tuple(valid)}


def _procedure(settings: Settings, trainer: Trainer) -> dict[str, Fact]:
    """What was really done, read from the parts that did it."""
    own = settings.training
    return {
        "updates": trainer.steps,
        "batch size": own.batch_size,
        "epochs": own.epochs,
        "optimizer": type(trainer.optimizer).__name__,
        "learning rate": _rates(trainer),
        "weight decay": own.weight_decay,
        "max_norm": trainer.max_norm,
        "data": f"{settings.data.task}, {settings.data.samples} samples, seed {settings.data.seed}",
    }


def _rates(trainer: Trainer) -> str:
    return ", ".join(f"{rate:g}" for rate in sorted(set(map(float, trainer.scheduler.base_lrs))))


def _with(settings: Settings, section: str, **changes: Any) -> Settings:
    changed = getattr(settings, section).model_copy(update=changes)
    return settings.model_copy(update={section: changed})
