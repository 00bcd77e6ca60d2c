"""Layers that stand still: loaded, copied from a student, named in the claims, or forgotten."""

import copy

import torch
from torch import nn

from gonogo.checks.model.frozen_random import frozen_random
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject


class Model(nn.Module):
    """A base, a fusion layer, a head, and a teacher that is a copy of the head."""

    def __init__(self, *frozen, loaded=()):
        super().__init__()
        self.base, self.fusion, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.teacher = copy.deepcopy(self.head).requires_grad_(False)
        pretrained = torch.Generator().manual_seed(0)
        for name in loaded:
            layer = self.get_submodule(name)
            layer.weight.data = torch.randn(layer.weight.shape, generator=pretrained)
        for name in frozen:
            self.get_submodule(name).requires_grad_(False)


def verdict(build, **claims):
    return answer(frozen_random.check, Subject("by hand", model=build, claims=Claims(**claims))).status


def test_a_loaded_base_and_a_copied_teacher_may_be_frozen():
    assert verdict(lambda: Model("base", loaded=("base",))) is Status.PASS


def test_a_new_layer_frozen_along_with_the_base_is_found():
    both = lambda: Model("base", "fusion", loaded=("base",))  # noqa: E731
    assert verdict(both) is Status.WARN
    assert verdict(both, frozen=("base.",)) is Status.FAIL
    assert verdict(both, frozen=("base.", "fusion.")) is Status.PASS


def test_a_program_that_sets_its_own_seed_gets_another_one():
    def build():
        torch.manual_seed(0)
        return Model("base", "fusion")

    assert verdict(build, frozen=("base.",)) is Status.FAIL
    assert verdict(build, frozen=("base.", "fusion.")) is Status.PASS


def test_a_stand_in_for_a_download_has_a_seed_of_its_own():
    def build():
        torch.manual_seed(0)
        model = Model("base", "fusion")
        with torch.random.fork_rng():
            torch.manual_seed(77)
            model.fusion.reset_parameters()
        return model

    assert verdict(build, frozen=("base.",)) is Status.PASS


def test_of_a_live_model_the_numbers_tell_whether_a_frozen_layer_was_ever_trained():
    live = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 2))
    live[0].requires_grad_(False)
    assert verdict(lambda: copy.deepcopy(live)) is Status.WARN
    live[0].weight.add_(1e-3 * torch.randn(32, 32))
    assert verdict(lambda: copy.deepcopy(live)) is Status.PASS
