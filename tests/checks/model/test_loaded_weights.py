"""Checkpoints that fit, fit in part, and do not fit."""

import torch
from torch import nn

from gonogo.checks.model.loaded_weights import loaded_weights
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject


class Model(nn.Module):
    """A body and a head."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 2)


def verdict(state):
    def build():
        model = Model()
        if state:
            model.load_state_dict({name: torch.ones(shape) for name, shape in state.items()}, strict=False)
        return model

    return answer(loaded_weights.check, Subject("by hand", model=build)).status


BODY = {"body.weight": (4, 4), "body.bias": (4,)}


def test_a_body_without_its_head_is_enough():
    assert verdict(BODY) is Status.PASS


def test_entries_that_the_model_has_no_use_for_may_be_left_over():
    assert verdict(BODY | {"classifier.weight": (9, 4), "decoder.weight": (4, 4)}) is Status.PASS


def test_names_with_a_prefix_load_nothing():
    assert verdict({f"module.{name}": shape for name, shape in BODY.items()}) is Status.FAIL


def test_a_part_with_a_prefix_is_found_beside_one_without():
    assert verdict({"head.bias": (2,)} | {f"encoder.{name}": shape for name, shape in BODY.items()}) is Status.WARN


def test_a_model_that_loads_nothing_is_not_asked():
    assert verdict({}) is Status.SKIP
    assert verdict({"body.weight": (4, 4)}) is Status.PASS


def test_trying_one_name_after_the_other_is_right():
    def build():
        model = Model()
        state = {f"module.{name}": value for name, value in model.state_dict().items()}
        if model.load_state_dict(state, strict=False).missing_keys:
            model.load_state_dict({name.removeprefix("module."): value for name, value in state.items()})
        return model

    assert answer(loaded_weights.check, Subject("by hand", model=build)).status is Status.PASS
