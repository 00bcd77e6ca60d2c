"""Dropped streams as they are found, beside those that the model itself writes down."""

import pytest
import torch
from torch import nn

from gonogo.errors import NotApplicable
from gonogo.instruments.streams.drops import declared, drops, raised
from gonogo.training.claims import Claims
from gonogo.training.session import Session
from gonogo.training.subject import Subject

NAMES = ("audio", "vision", "text")


class Dropping(nn.Module):
    """Drops streams independently; keeps no record."""

    def __init__(self, modality_dropout=0.3, ties=False):
        super().__init__()
        self.modality_dropout, self.ties, self.head = modality_dropout, ties, nn.Linear(4, 2)

    def forward(self, batch):
        keep = torch.rand(len(batch["audio"]), 3) >= self.modality_dropout * self.training
        found = sum(batch[name] * keep[:, [at]] for at, name in enumerate(NAMES))
        return self.head(found - found.mean(0) if self.ties else found)


def session(config=None, with_config=None, **model):
    batch = {name: torch.randn(6, 4) for name in NAMES}
    subject = Subject(
        "by hand",
        model=lambda: Dropping(**model),
        loss=lambda model, batch: model(batch).sum(),
        splits={"train": lambda: [batch]},
        claims=Claims(modalities=NAMES),
        config=config,
        with_config=with_config,
    )
    return Session(subject)


def test_the_share_of_dropped_streams_is_the_rate():
    seen = drops(session())
    assert len(seen.dropped) == 2048
    assert seen.dropped.float().mean(0).tolist() == pytest.approx([0.3] * 3, abs=0.04)
    assert seen.dropped.all(1).float().mean() == pytest.approx(0.3**3, abs=0.015)
    assert not seen.evaluated.any()


def test_a_rate_of_the_models_own_can_be_raised():
    assert declared(session(modality_dropout=0.1)) == ("Dropping.modality_dropout", 0.1)
    often = raised(session(modality_dropout=0.1), 0.5)
    assert often is not None
    assert often.dropped.float().mean() == pytest.approx(0.5, abs=0.05)


def test_the_configuration_goes_first():
    assert declared(session({"model": {"modality_dropout": 0.2}, "dropout": 0.1})) == ("model.modality_dropout", 0.2)
    assert declared(session({"drop_modality": "no"}, modality_dropout=0)) is None


def test_samples_that_depend_on_each_other_are_not_applicable():
    with pytest.raises(NotApplicable, match="depends on the others"):
        drops(session(ties=True))
