"""Checkpointed layers against the same layers called plainly: healthy ways first."""

import random

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from gonogo.checks.model.activation_checkpointing import activation_checkpointing
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS


class Deep(nn.Module):
    def __init__(self, frozen=False, **named):
        super().__init__()
        self.first = nn.Linear(8, 16).requires_grad_(not frozen)
        self.body = nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3))
        self.head, self.named = nn.Linear(16, 1), named

    def forward(self, x):
        return self.head(checkpoint(self.body, self.first(x), **self.named))


class InPieces(Deep):
    def forward(self, x):
        return self.head(checkpoint_sequential(self.body, 2, self.first(x), use_reentrant=False))


class Drawing(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(16, 16)

    def forward(self, x):
        return self.mix(x) * random.random()


class OwnDice(Deep):
    """The checkpointed part draws from a generator that nobody puts back."""

    def __init__(self, **named):
        super().__init__(**named)
        self.body = Drawing()


def status(model):
    return answer(activation_checkpointing.check, TOYS["regressor"]().map_model(lambda _: model())).status


@pytest.mark.parametrize("reentrant", [True, False])
def test_dropout_and_batch_norm_in_a_checkpoint_are_fine(reentrant):
    assert status(lambda: Deep(use_reentrant=reentrant)) is Status.PASS


def test_a_sequence_checkpointed_in_pieces_is_fine():
    assert status(InPieces) is Status.PASS


def test_a_checkpoint_that_keeps_no_generator_state_and_draws_nothing_is_fine():
    assert status(lambda: _without_dropout(Deep(use_reentrant=False, preserve_rng_state=False))) is Status.PASS


def test_the_other_kind_behind_a_frozen_layer_is_fine():
    assert status(lambda: Deep(frozen=True, use_reentrant=False)) is Status.PASS


def test_the_reentrant_kind_behind_a_frozen_layer_is_not():
    assert status(lambda: Deep(frozen=True, use_reentrant=True)) is Status.FAIL


def test_draws_that_recomputation_does_not_repeat_are_found():
    assert status(lambda: OwnDice(use_reentrant=True)) is Status.FAIL


def test_a_model_without_checkpoints_is_not_asked():
    assert status(lambda: nn.Linear(8, 1)) is Status.SKIP


def _without_dropout(model):
    model.body[3] = nn.Identity()
    return model


def test_the_switch_is_put_back():
    before = torch.utils.checkpoint.CheckpointFunction
    status(lambda: Deep(use_reentrant=True))
    assert torch.utils.checkpoint.CheckpointFunction is before
