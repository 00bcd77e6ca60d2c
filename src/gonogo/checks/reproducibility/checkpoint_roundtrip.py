"""A checkpoint holds the run, or it holds nothing."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.instruments.answers.equivalence import largest_change
from gonogo.instruments.step.training_steps import until_updates
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_most(
            "reload_difference",
            warn=1e-9,
            fail=1e-4,
            source="ours: the same weights give the same answers, bit for bit",
        ),
        at_most("resume_difference", warn=1e-6, source="ours: many checkpoints leave out the optimizer on purpose"),
    ],
    since="0.1",
)
def checkpoint_roundtrip(session: Session, *, steps: int = 2) -> Observation:
    """A reloaded run answers and goes on as before | A reloaded run is not the one that was saved

    What: trains some steps, saves, loads into a new model and optimizer, and compares. `reload_difference` is the
        largest relative difference of the answers in evaluation mode, `resume_difference` that of the losses when both
        go on training with the same batches and seeds. The run's own save and load are used where the subject gives
        them, else the state dicts; these say nothing of how the run resumes, so that `resume_difference` is left out.
    Why: weights in plain lists, buffers that are not registered, averaged weights and optimizer moments are easily left
        out. The loss after a restart jumps, or the model that is deployed is not the one that was validated.
    Fix: register every tensor as parameter or buffer, keep modules in ModuleList, save model, optimizer, scheduler,
        scaler and step, and load with strict=True.
    Shapes: any.
    Units: reload_difference, resume_difference: 1.
    Source: ours; pytorch.org, saving and loading a general checkpoint.
    """
    calls = steps * max(1, session.claims.accumulation)
    model, optimizer = session.model, session.optimizer
    until_updates(session, steps, patience=max(40, calls))  # amid a window of accumulation no checkpoint is complete
    batches = session.batches("train", limit=2 * calls)
    with tempfile.TemporaryDirectory(prefix="gonogo-") as folder:
        path = session.save(model, optimizer, Path(folder))
        try:
            loaded, loaded_optimizer = session.load(path)
        except (RuntimeError, KeyError, ValueError) as error:  # what was saved does not fit what is built
            return _not_loadable(error)
    reload = largest_change(_answers(session, batches[0], model), _answers(session, batches[0], loaded))
    if session.subject.save is None or session.subject.load is None:  # schedules and counters are the run's to save
        return Observation({"reload_difference": Measurement(reload)})
    went = {"unbroken": (model, optimizer), "resumed": (loaded, loaded_optimizer)}
    ahead = range(calls, 2 * calls + 1)
    losses = {
        name: [_step(session, batches[index % len(batches)], *parts, index) for index in ahead]
        for name, parts in went.items()
    }
    resume = max(abs(a - b) / max(abs(a), 1e-12) for a, b in zip(*losses.values(), strict=True))
    table = Table("Losses after the checkpoint", ("step", *losses), tuple(zip(ahead, *losses.values(), strict=True)))
    found = {"reload_difference": Measurement(reload), "resume_difference": Measurement(resume, n=len(ahead))}
    return Observation(found, (table,))


def _not_loadable(error: Exception) -> Observation:
    lines = tuple((line.strip(),) for line in str(error).splitlines() if line.strip())
    return Observation(
        {"reload_difference": Measurement(float("inf"))}, (Table("The checkpoint cannot be loaded", ("error",), lines),)
    )


def _step(session: Session, batch: Any, model: nn.Module, optimizer: Optimizer, index: int) -> float:
    model.train()
    with seeding.seeded(seeding.derive(session.seed, "step", index)):
        return session.step(nested.clone(batch), model, optimizer)


def _answers(session: Session, batch: Any, model: nn.Module) -> dict[str, Tensor]:
    with torch.no_grad(), evaluating(model), seeding.seeded(session.seed):
        return session.outputs(nested.clone(batch), model)


@fault()
def buffer_not_saved(subject: Subject) -> Subject:
    """The output is scaled by a running statistic that no checkpoint holds."""

    def change(model: nn.Module) -> nn.Module:
        scale = [1.0]

        def follow(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            if module.training:
                scale[0] = 0.9 * scale[0] + 0.1 * 5.0
            return output * scale[0]

        model.register_forward_hook(follow)
        return model

    return subject.map_model(change)


@fault()
def load_does_nothing(subject: Subject) -> Subject:
    """The names in the file match nothing, and strict=False hides it."""

    def save(path: Path, model: nn.Module, optimizer: Optimizer) -> None:
        torch.save({f"module.{name}": value for name, value in model.state_dict().items()}, path)

    def load(path: Path, model: nn.Module, optimizer: Optimizer) -> None:
        model.load_state_dict(torch.load(path, weights_only=True), strict=False)

    return _with_checkpoint(subject, save, load)


@fault(expect=Status.WARN)
def optimizer_not_saved(subject: Subject) -> Subject:
    """Only the weights are saved."""

    def save(path: Path, model: nn.Module, optimizer: Optimizer) -> None:
        torch.save(model.state_dict(), path)

    def load(path: Path, model: nn.Module, optimizer: Optimizer) -> None:
        model.load_state_dict(torch.load(path, weights_only=True))

    return _with_checkpoint(subject, save, load)


def _with_checkpoint(subject: Subject, save: Any, load: Any) -> Subject:
    return replace(subject, save=save, load=load)
