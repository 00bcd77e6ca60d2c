"""What is held out must come through the same preparation as what is trained on."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from gonogo.audit import fields, samples
from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.data import roles
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_SOURCE = "Cohen 1988: half a standard deviation is a medium effect; here over all numbers of a field"


@check(
    needs={C.TRAIN, C.VALID},
    effort=Effort.READ,
    after=("data.missing-values",),
    criteria=[
        at_most("shift", warn=0.5, source=_SOURCE),
        at_most("stretch", warn=2.0, source="ours: augmentation changes spreads by less than half"),
    ],
    since="0.2",
)
def preprocessing(session: Session, *, limit: int = 256) -> Observation:
    """Train and valid have the same scale | Train and valid have different scales

    What: compares mean and standard deviation of all numbers of each field of the input, over up to `limit` samples of
        train and of valid. `shift` is the largest difference of means in standard deviations of train, less what
        stretches of train differ by among themselves (trends, a few groups), `stretch` the largest ratio of standard
        deviations. Effects count, not p-values: with many samples any two splits differ.
    Why: a Normalize that only one split has, or has twice, moves the held-out samples to where the model never was.
    Fix: build the transforms of both splits from one function; leave only the random ones out of validation.
    Shapes: fields of decimal numbers, or bytes, of any shape.
    Units: shift, stretch: 1 (n: samples of valid).
    Source: Cohen 1988, Statistical power analysis for the behavioral sciences.
    """
    with seeding.seeded(session.seed):
        train, valid = (_numbers(session, name, limit) for name in ("train", "valid"))
    rows: list[tuple[str, float, float, float, float]] = []
    shift, stretch, n = 0.0, 1.0, 0
    for path in sorted(train.keys() & valid.keys()):
        one, two = torch.cat(train[path]), torch.cat(valid[path])
        if min(len(train[path]), len(valid[path])) < 16 or float(one.std()) == 0.0:
            continue
        n = max(n, len(valid[path]))
        rows.append((path, float(one.mean()), float(two.mean()), float(one.std()), float(two.std())))
        between = float((one.mean() - two.mean()).abs() / one.std())
        shift = max(shift, between - _drift(train[path]) / float(one.std()))
        stretch = max(stretch, float(max(one.std() / two.std(), two.std() / one.std())) if float(two.std()) else 1e6)
    if not rows:
        raise NotApplicable("train and valid share no field of decimal numbers that varies")
    columns = ("field", "mean of train", "mean of valid", "deviation of train", "deviation of valid")
    return Observation(
        {"shift": Measurement(shift, n=n), "stretch": Measurement(stretch, n=n)},
        (Table("Scales", columns, tuple(rows)),),
    )


def _numbers(session: Session, name: str, limit: int) -> dict[str, list[Tensor]]:
    """The numbers of each field of the input, sample by sample."""
    found: dict[str, list[tuple[int, Tensor]]] = {}
    targets = roles.targets(session)
    reading = samples.Reading(samples.of_split(session, name), 0.2 * session.seconds_left, session.seed)
    for position, sample in islice(reading, limit):
        known = targets if isinstance(sample, Mapping) else ()  # elsewhere the places of what is left are other ones
        for path, tensor in nested.tensors(fields.roles(sample, session.claims).input).items():
            decimal = tensor.is_floating_point() or tensor.dtype is torch.uint8
            if decimal and tensor.numel() and path not in known:
                numbers = tensor.detach().cpu().double().flatten().nan_to_num()
                found.setdefault(path, []).append((position, numbers))
    # In the order of the data set: neighbours are often alike.
    return {path: [one for _, one in sorted(some, key=lambda pair: pair[0])] for path, some in found.items()}


def _drift(samples: list[Tensor], parts: int = 6) -> float:
    """The largest difference between the means of stretches of a split."""
    means = [
        float(torch.cat(samples[place * len(samples) // parts :][: len(samples) // parts]).mean())
        for place in range(parts)
    ]
    return max(means) - min(means)


@fault(expect=Status.WARN, toy="regressor")
def only_train_is_normalised(subject: Subject) -> Subject:
    """The validation set keeps the raw scale of the source."""

    def build() -> DataLoader[Any]:
        loader: Any = subject.splits["valid"].batches()
        return DataLoader([(40.0 * x + 120.0, y) for x, y in loader.dataset], loader.batch_size)  # type: ignore[arg-type]

    return subject.map_split("valid", lambda split: replace(split, batches=build))
