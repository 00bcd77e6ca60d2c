"""Defects of published multimodal programs, each in a few lines, under the checks that name them."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.core.catalogue import discover
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

CHECKS = {check.id: check for check in discover()}
NAMES = ("audio", "vision")
D = 6


def batch(seed, absent=False):
    generator = torch.Generator().manual_seed(seed)
    found = {"label": torch.randint(2, (8,), generator=generator)}
    for name in NAMES:
        mask = torch.arange(5) < torch.tensor([5, 4, 3, 2, 5, 4, 3, 2]).unsqueeze(1)
        if absent and name == "audio":
            mask[3] = False
        found[name] = torch.randn(8, 5, D, generator=generator) * mask.unsqueeze(-1)
        found[f"{name}_mask"] = mask
    return found


class Two(nn.Module):
    """Two streams; `encode` and `mean` are what subclasses get wrong."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(D, D // 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * D, 2)

    def encode(self, x, mask):
        return x

    def mean(self, x, mask):
        return x.masked_fill(~mask.unsqueeze(-1), 0.0).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)

    def forward(self, batch):
        streams = [(batch[name], batch[f"{name}_mask"]) for name in NAMES]
        return self.head(torch.cat([self.mean(self.encode(x, mask), mask) for x, mask in streams], -1))


class Unpacked(Two):
    def encode(self, x, mask):
        return self.lstm(x)[0]


class OneIndex(Two):
    """Positions run through the concatenation."""

    def forward(self, batch):
        x, mask = (torch.cat([batch[name + end] for name in NAMES], 1) for end in ("", "_mask"))
        places = (torch.arange(x.shape[1]) * 0.7).sin().to(x).unsqueeze(-1)
        mean = self.mean(torch.tanh(x + places), mask)
        return self.head(torch.cat([mean, mean], -1))


class Multiplied(Two):
    def mean(self, x, mask):
        return (x * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


class Unclamped(Two):
    def mean(self, x, mask):
        return x.masked_fill(~mask.unsqueeze(-1), 0.0).sum(1) / mask.sum(1, keepdim=True)


class Independent(Two):
    """Each stream is dropped on its own."""

    moddrop = 0.3

    def mean(self, x, mask):
        keep = torch.rand(len(x), 1) >= self.moddrop if self.training else torch.ones(len(x), 1, dtype=torch.bool)
        return super().mean(x, mask).masked_fill(~keep, 0.0)


def result(check, model, batches=None, config=None, **claims):
    batches = batches or [batch(seed) for seed in range(4)]
    subject = Subject(
        "by hand",
        model=model,
        loss=lambda model, batch: functional.cross_entropy(model(batch), batch["label"]),
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=1e-2),
        splits={"train": lambda: batches},
        claims=Claims(modalities=NAMES, **claims),
        config=config,
    )
    return answer(CHECKS[f"modality.{check}"], subject)


def test_the_same_program_without_a_defect_passes():
    assert {result(check, Two).status for check in ("masked-content", "padding")} == {Status.PASS}


@pytest.mark.parametrize("check", ["masked-content", "padding"])
@pytest.mark.requirement("MAFT-2.1")
def test_recurrent_layers_over_padding_are_found(check):
    assert result(check, Unpacked).status is Status.FAIL


@pytest.mark.requirement("MAFT-2.2")
def test_positions_through_the_concatenation_are_found_although_no_padding_is_read():
    assert result("padding", OneIndex).status is Status.FAIL
    assert result("masked-content", OneIndex).status is Status.PASS


def test_nan_behind_a_mask_is_a_fault_only_where_the_claims_allow_it_there():
    assert result("masked-content", Multiplied).status is Status.PASS
    declared = result("masked-content", Multiplied, masks={name: f"{name}_mask" for name in NAMES})
    assert declared.status is Status.FAIL
    assert "poisoned is 2 streams" in declared.reason


@pytest.mark.requirement("MAFT-2.2")
def test_a_mean_over_no_steps_is_a_fault_only_where_streams_are_absent():
    assert result("combinations", Unclamped).status is Status.SKIP
    assert result("combinations", Unclamped, [batch(0, absent=True)]).status is Status.FAIL


@pytest.mark.requirement("MAFT-2.3")
def test_samples_that_lose_every_stream_are_found_once_a_rate_is_declared():
    found = result("dropout-rate", Independent, config={"modality_dropout": 0.3})
    assert found.status is Status.FAIL
    assert "all_dropped" in found.reason
    assert result("dropout-rate", Independent).status is Status.WARN


@pytest.mark.requirement("MAFT-2.3")
def test_another_rate_than_the_declared_one_is_a_warning():
    measured = result("dropout-rate", Independent, config={"modality_dropout": 0.05}).observation.measurements
    assert measured["rate_error"].value > 0.1
