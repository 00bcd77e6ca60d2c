"""Bits of an input."""

import torch

from gonogo.audit.capacity import Alphabet


def test_a_truth_table_holds_one_bit_per_value() -> None:
    table = [torch.tensor([a, b]) for a in (0.0, 1.0) for b in (0.0, 1.0)]
    assert Alphabet(table).capacity(table[1]) == 2


def test_measured_numbers_hold_the_bits_of_their_type() -> None:
    rows = list(torch.rand(20, 2, generator=torch.Generator().manual_seed(0)))
    assert Alphabet(rows).capacity(rows[0]) == 46


def test_a_blank_picture_holds_nothing() -> None:
    noise = torch.randint(256, (8, 8))
    assert Alphabet([noise]).capacity(torch.zeros(8, 8)) == 0


def test_a_short_text_holds_less_than_a_long_one() -> None:
    alphabet = Alphabet(["the quick brown fox jumps over the lazy dog"])
    assert alphabet.capacity("ok") < 10 < 100 < alphabet.capacity("a sentence of ordinary length")
