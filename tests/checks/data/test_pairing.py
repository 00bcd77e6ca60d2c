"""Targets that move are found; collate functions that pad, sort whole samples, mask or mix are not accused."""

from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from gonogo.checks.data.pairing import pairing
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

SAMPLES = [(torch.arange(1, 4 + n * 7 % 5) * (n + 1), n % 3) for n in range(24)]
CHECK: Any = pairing.check  # type: ignore[attr-defined]


def padded(samples: list[Any], left: bool = False) -> tuple[Any, Any, Any]:
    side = "left" if left else "right"
    x = pad_sequence([x for x, _ in samples], batch_first=True, padding_side=side)
    return x, torch.tensor([len(x) for x, _ in samples]), torch.tensor([y for _, y in samples])


def longest_first(samples: list[Any]) -> Any:
    return padded(sorted(samples, key=lambda sample: -len(sample[0])))


def sequence_first(samples: list[Any]) -> Any:
    x, lengths, y = padded(samples)
    return x.T, lengths, y


def masked(samples: list[Any]) -> Any:
    x, lengths, y = padded(samples)
    return x.masked_fill(torch.rand(x.shape) < 0.3, -1), lengths, y


def mixed(samples: list[Any]) -> Any:
    x, _, y = padded(samples)
    order = torch.randperm(len(x))
    return {"x": 0.7 * x + 0.3 * x[order], "targets": (y, y[order])}


def mixed_not_at_all(samples: list[Any]) -> Any:
    x, _, y = padded(samples)
    return {"x": x, "targets": (y, y.roll(1))}


def with_negatives(samples: list[Any]) -> Any:
    x, _, y = padded(samples)
    return {"x": x, "negative": x.roll(1, 0), "label": y}


def in_batch_positions(samples: list[Any]) -> Any:
    return {"x": padded(samples)[0], "label": torch.arange(len(samples))}


def inputs_sorted(samples: list[Any]) -> Any:
    x, lengths, y = padded(samples)
    order = lengths.argsort(descending=True)
    return x[order], lengths[order], y


def targets_sorted(samples: list[Any]) -> Any:
    x, _, y = padded(samples)
    return {"x": x, "label": y.sort().values}


def ask(collate: Any) -> Status:
    train = DataLoader(SAMPLES, 8, shuffle=True, collate_fn=collate)  # type: ignore[arg-type]
    return answer(CHECK, Subject("s", splits={"train": lambda: train})).status


@pytest.mark.parametrize(
    "collate",
    [
        padded,
        lambda samples: padded(samples, left=True),
        longest_first,
        sequence_first,
        masked,
        mixed,
        mixed_not_at_all,
        with_negatives,
        in_batch_positions,
    ],
)
def test_right_collate_functions_are_not_accused(collate):
    assert ask(collate) in (Status.PASS, Status.SKIP)


@pytest.mark.parametrize("collate", [inputs_sorted, targets_sorted])
def test_fields_sorted_alone_fail(collate):
    assert ask(collate) is Status.FAIL


@pytest.mark.parametrize(("sort_both", "status"), [(True, Status.PASS), (False, Status.FAIL)])
def test_a_target_of_any_name_is_known_by_what_the_loss_does_with_it(sort_both, status):
    samples = [{"frames": torch.full((4,), float(n)), "valence": torch.tensor(n * 7 % 24 / 24)} for n in range(24)]

    def collate(some: list[Any]) -> Any:
        order = sorted(range(len(some)), key=lambda place: -float(some[place]["frames"][0]))
        valence = torch.stack([one["valence"] for one in some])
        frames = torch.stack([some[place]["frames"] for place in order])
        return {"frames": frames, "valence": valence[order] if sort_both else valence}

    def loss(model: torch.nn.Module, batch: Any) -> torch.Tensor:
        return (model(batch["frames"])[:, 0] - batch["valence"]).square().mean()

    train = DataLoader(samples, 8, shuffle=True, collate_fn=collate)  # type: ignore[arg-type]
    subject = Subject("s", model=lambda: torch.nn.Linear(4, 1), loss=loss, splits={"train": lambda: train})
    assert answer(CHECK, subject).status is status
