"""Two runs from one seed should be one run."""

import itertools
import random

import torch

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("difference", warn=1e-6, source="ours: bit-equal on a CPU; kernels of GPUs may differ by rounding")
    ],
    since="0.1",
)
def seed_repeat(session: Session, *, steps: int = 3) -> Observation:
    """Two runs with one seed agree | Two runs with one seed differ

    What: runs the first steps of training twice, each from the same seed for Python, NumPy and torch: data, model,
        optimizer and loss anew. `difference` is the largest relative difference between the two series of losses.
    Why: a run that cannot be repeated cannot be debugged, and an ablation without a shared seed measures luck.
    Fix: look for generators of your own without a seed (numpy.random.default_rng(), torch.Generator()), for time or
        os.urandom, for sets in data order, and for workers that are seeded by hand.
    Shapes: losses (steps,).
    Units: difference: 1.
    Source: pytorch.org notes on reproducibility.
    """
    first, second = (_losses(session, steps) for _ in range(2))
    rows = tuple(zip(range(len(first)), first, second, strict=False))
    gaps = [abs(a - b) / max(abs(a), abs(b), 1e-12) for a, b in zip(first, second, strict=False)]
    return Observation(
        {"difference": Measurement(max(gaps, default=0.0), n=len(gaps))},
        (Table("Losses of two runs", ("step", "first run", "second run"), rows),),
    )


def _losses(session: Session, steps: int) -> list[float]:
    with seeding.seeded(session.seed):
        loader = session.loader("train")
        model = session.subject._given("model")().to(session.device).train()
        optimizer = session.build_optimizer(model)
        batches = itertools.islice(loader, steps)
        return [session.step(nested.to(nested.clone(batch), session.device), model, optimizer) for batch in batches]


@fault(expect=Status.WARN)
def unseeded_noise(subject: Subject) -> Subject:
    """The loss adds noise from a generator without a seed."""
    unseeded = random.SystemRandom()
    return subject.map_loss(lambda loss: lambda model, batch: loss(model, batch) * (1 + unseeded.random()))


@fault(expect=Status.WARN)
def unseeded_weights(subject: Subject) -> Subject:
    """The weights are drawn from a generator without a seed."""

    def change(model: torch.nn.Module) -> torch.nn.Module:
        generator = torch.Generator()
        generator.seed()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
        return model

    return subject.map_model(change)
