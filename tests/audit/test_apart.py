"""Held-out samples are cleared only where no transform of train can hide one of them."""

import pytest
import torch

from gonogo.audit.apart import apart
from gonogo.audit.samples import Samples
from gonogo.training.claims import Claims

DRAW = torch.Generator().manual_seed(0)
TRAIN, HELD = torch.randn(60, 12, generator=DRAW), torch.randn(20, 12, generator=DRAW)


def source(rows, change=lambda row: row):
    return Samples(len(rows), lambda position: (change(rows[position]), 0), lambda: iter(()))


def noise(row):
    return row + 0.05 * torch.randn_like(row)


def roll(row):
    return row.roll(int(torch.randint(12, ())))


def crop(row):
    return row[: int(torch.randint(3, 9, ()))]


@pytest.mark.parametrize("change", [noise, roll])
def test_other_samples_are_apart_under_noise_and_shifts(change):
    assert apart(source(TRAIN, change), source(HELD), Claims(), seed=0, seconds=9)


@pytest.mark.parametrize("change", [noise, roll])
def test_a_shared_sample_is_not(change):
    held = source(torch.cat([HELD, TRAIN[7:8]]))
    assert not apart(source(TRAIN, change), held, Claims(), seed=0, seconds=9)


def test_samples_of_changing_length_stay_open():
    assert not apart(source(TRAIN, crop), source(HELD), Claims(), seed=0, seconds=9)
