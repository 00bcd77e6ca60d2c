"""Heads that share the embedding, share it by function, or were never meant to."""

import pytest
from torch import nn

from gonogo.checks.model.tied_weights import tied_weights
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject


class Words(nn.Module):
    """Tokens, one wide layer of the embedding's shape, and a head."""

    def __init__(self, head):
        super().__init__()
        self.embed, self.widen = nn.Embedding(16, 4), nn.Linear(4, 16)
        if head != "functional":
            self.lm_head = nn.Linear(4, 16, bias=False)
        if head == "tied":
            self.lm_head.weight = self.embed.weight
        if head == "copied":
            self.lm_head.weight = nn.Parameter(self.embed.weight.detach().clone())


def verdict(head, **config):
    return answer(tied_weights.check, Subject("by hand", model=lambda: Words(head), config=config or None)).status


@pytest.mark.parametrize("head", ["tied", "functional"])
def test_a_tied_head_is_tied_whatever_else_has_its_shape(head):
    assert verdict(head, model={"tie_word_embeddings": True}) is not Status.FAIL


@pytest.mark.parametrize("head", ["copied", "own"])
def test_declared_and_not_tied_is_a_contradiction(head):
    assert verdict(head, model={"tie_word_embeddings": True}) is Status.FAIL
    assert verdict(head, weight_tying=True) is Status.FAIL


def test_without_a_declaration_a_head_of_its_own_is_right():
    assert verdict("own", tie_word_embeddings=False) is Status.PASS
    assert verdict("copied") is Status.WARN


def test_looking_at_a_spectral_norm_in_training_leaves_no_trace():
    model = nn.Sequential(nn.Embedding(16, 4), nn.utils.parametrizations.spectral_norm(nn.Linear(4, 16)))
    before = {name: value.clone() for name, value in model.named_buffers()}
    answer(tied_weights.check, Subject("by hand", model=lambda: model))
    assert all(value.equal(before[name]) for name, value in model.named_buffers())
