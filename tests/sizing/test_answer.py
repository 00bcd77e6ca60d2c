import dataclasses

import pytest
import torch
from torch import nn

from gonogo.sizing import changes, observe, observe_time
from gonogo.sizing.answer import size
from gonogo.sizing.card import fake_card
from gonogo.sizing.card.allocator import GIB
from gonogo.sizing.costs.devices import device
from gonogo.sizing.programs.program import Program
from gonogo.sizing.strategies import named as strategies

WIDTH = 8192  # one layer: 256 MiB of weights


def program(layers=4, loss=lambda model, x: model(x).square().mean()):
    def build():
        with torch.device(fake_card.DEVICE):
            return nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(layers)))

    def batch():
        return torch.empty(16, WIDTH, device=fake_card.DEVICE)

    return Program("x", build, batch, loss, lambda model: [torch.optim.AdamW(model.parameters())])


def card(gib):
    return dataclasses.replace(device("T4"), memory_bytes=int(gib * GIB))


def test_a_large_card_holds_it_and_the_needed_bytes_count_what_is_outside():
    found = size(program(), card(64), 1)
    assert found.answer == "fits"
    assert found.go
    assert found.needed == found.free.reserved + found.outside


def test_a_small_card_names_where_it_runs_out():
    found = size(program(), card(3), 1)
    assert found.answer.startswith("out of memory at aten.")
    assert " in " in found.answer


def test_what_cannot_be_traced_is_unknown_with_a_lower_bound():
    def packing(model, x):
        return nn.utils.rnn.pack_padded_sequence(model(x)[:, :, None], torch.ones(16), batch_first=True).data.mean()

    found = size(program(loss=packing), card(64), 1)
    assert found.answer.startswith("unknown: aten._pack_padded_sequence")
    assert found.lower_bound >= 4 * WIDTH * WIDTH * 4
    assert observe.memory(found).measurements["untraced"].value == 1


def test_several_devices_do_not_add_up():
    one, two = size(program(), card(8), 1), size(program(), card(8), 2, strategies.parse("", 2))
    assert two.needed >= one.needed


def test_the_smallest_change_is_found_and_fits():
    found = changes.smallest(program(), card(4.5), 1, ())
    assert found
    assert all(change.sizing.go for change in found)


def test_nothing_is_offered_where_nothing_helps():
    assert changes.smallest(program(), card(0.5), 1, ()) == []


def test_a_model_without_linear_layers_is_not_offered_adapters():
    def build():
        with torch.device(fake_card.DEVICE):
            return nn.Conv2d(1, 1, 1)

    tiny = dataclasses.replace(program(), model=build, batch=lambda: torch.empty(1, 1, 9, 9, device=fake_card.DEVICE))
    assert all("lora" not in change.what for change in changes.smallest(tiny, card(0.6), 1, ()))


@pytest.mark.parametrize("tokens", [None, 1e6])
def test_hours_are_told_only_for_a_planned_number_of_tokens(tokens):
    measured = observe_time.time(size(program(), card(64), 1), tokens=tokens).measurements
    assert ("hours" in measured) == (tokens is not None)
    assert measured["step"].low < measured["step"].value < measured["step"].high
