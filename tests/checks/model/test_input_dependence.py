"""Inputs that matter late, little or through one field of several; and inputs that never matter."""

import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.model.input_dependence import input_dependence
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject


class Fusion(nn.Module):
    """Two streams; `use` names those that are read; the gate of the second may start closed."""

    def __init__(self, use=("audio", "vision"), closed=False):
        super().__init__()
        self.use = use
        self.layers = nn.ModuleDict({name: nn.Linear(5, 3) for name in ("audio", "vision")})
        self.gate = nn.Parameter(torch.zeros(()) if closed else torch.ones(()))

    def forward(self, batch):
        parts = {name: self.layers[name](batch[name].mean(1)) for name in self.use}
        return parts.get("audio", 0.0) + torch.tanh(self.gate) * parts.get("vision", 0.0)


def batches():
    generator = torch.Generator().manual_seed(1)
    return [
        {
            "audio": torch.randn(8, 4, 5, generator=generator),
            "vision": torch.randn(8, 6, 5, generator=generator),
            "audio_mask": torch.rand(8, 4, generator=generator) > 0.5,
            "label": torch.randint(3, (8,), generator=generator),
        }
        for _ in range(3)
    ]


def verdict(rate=0.1, modalities=("audio", "vision"), **given):
    subject = Subject(
        "by hand",
        model=lambda: Fusion(**given),
        loss=lambda model, batch: functional.cross_entropy(model(batch), batch["label"]),
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=rate),
        splits={"train": batches()},
        claims=Claims(modalities=modalities),
    )
    return answer(input_dependence.check, subject).status


def test_both_streams_matter_and_an_unused_mask_is_no_modality():
    assert verdict() is Status.PASS
    assert verdict(modalities=("audio", "vision", "text")) is Status.PASS


def test_a_claimed_stream_that_is_not_read_is_found():
    assert verdict(use=("audio",)) is Status.FAIL


def test_without_a_claim_it_is_a_warning():
    assert verdict(use=("audio",), modalities=()) is Status.WARN


def test_a_gate_that_opens_after_the_warm_up_is_no_fault():
    assert verdict(closed=True, rate=0.0) is Status.PASS


class Sorted(nn.Module):
    """Refuses lengths that do not fall, as packing does."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x, lengths):
        if not (lengths.diff() <= 0).all():
            raise RuntimeError("lengths must be sorted in decreasing order")
        return self.head(x.cumsum(1)[torch.arange(len(x)), lengths - 1])


def test_a_field_whose_exchange_the_model_refuses_is_read():
    x, lengths, label = torch.randn(6, 5, 4), torch.tensor([5, 4, 4, 3, 2, 1]), torch.tensor([0, 1, 2, 0, 1, 2])
    subject = Subject(
        "packed",
        model=Sorted,
        loss=lambda model, batch: functional.cross_entropy(model(batch[0], batch[1]), batch[2]),
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
        splits={"train": [(x, lengths, label)] * 3},
    )
    assert answer(input_dependence.check, subject).status is Status.PASS


class Broken(nn.Module):
    """Has no answer outside training."""

    def forward(self, batch):
        answer = batch["audio"].mean((1, 2)).unsqueeze(1)
        return answer if self.training else answer * torch.nan


def test_a_model_whose_every_answer_is_nan_is_not_called_blind():
    def loss(model, batch):
        return (model(batch) + next(iter(model.parameters()))).mean()

    def build():
        model = Broken()
        model.offset = nn.Parameter(torch.ones(1))
        return model

    given = Subject(
        "nan",
        model=build,
        loss=loss,
        optimizer=lambda m: torch.optim.SGD(m.parameters(), 0.1),
        splits={"train": batches},
    )
    assert answer(input_dependence.check, given).status is Status.SKIP


def test_a_float_target_of_any_name_is_no_unused_input():
    many = [{"x": torch.randn(8, 4), "genres": torch.rand(8, 3), "rest": torch.randn(8, 2)} for _ in range(3)]
    for used, status in ((("genres",), Status.PASS), (("genres", "rest"), Status.WARN)):
        subject = Subject(
            "tags",
            model=lambda: nn.Linear(4, 3),
            loss=lambda model, batch: functional.mse_loss(model(batch["x"]), batch["genres"]),
            optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1),
            splits={"train": [{key: batch[key] for key in ("x", *used)} for batch in many]},
        )
        assert answer(input_dependence.check, subject).status is status
