import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gonogo.training import fingerprint, seeding


def draw():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_one_seed_gives_the_same_numbers_from_every_generator():
    with seeding.seeded(3):
        first = draw()
    with seeding.seeded(3):
        second = draw()
    assert first == second


def test_each_generator_depends_on_the_seed():
    with seeding.seeded(3):
        first = draw()
    with seeding.seeded(4):
        second = draw()
    assert all(a != b for a, b in zip(first, second, strict=True))


def test_all_generators_are_as_before_afterwards():
    before = fingerprint.of_process()
    with seeding.seeded(3):
        draw()
    assert fingerprint.changed(before, fingerprint.of_process()) == []


def test_generators_are_restored_after_an_error_too():
    before = fingerprint.of_process()
    with pytest.raises(ValueError, match="on purpose"), seeding.seeded(3):
        raise ValueError(f"on purpose, after {draw()}")
    assert fingerprint.changed(before, fingerprint.of_process()) == []


def test_a_derived_seed_is_the_same_in_another_process():
    code = "from gonogo.training.seeding import derive; print(derive(7, 'batches', 'train', 3))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(other) == seeding.derive(7, "batches", "train", 3)


@given(st.integers(0, 2**31 - 1), st.text())
def test_a_derived_seed_is_valid_for_every_generator(seed, name):
    derived = seeding.derive(seed, name)
    assert 0 <= derived < 2**31
    assert derived != seeding.derive(seed, name, "more")


def test_names_are_not_glued_together():
    assert seeding.derive(0, "ab", "c") != seeding.derive(0, "a", "bc")


def test_different_seeds_derive_different_seeds():
    assert len({seeding.derive(seed, "train") for seed in range(1000)}) == 1000


def test_determinism_is_switched_on_and_back():
    before = fingerprint.of_process()
    with seeding.deterministic():
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert fingerprint.changed(before, fingerprint.of_process())
    assert fingerprint.changed(before, fingerprint.of_process()) == []
