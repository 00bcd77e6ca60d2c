"""Columns beside targets, against a slow twin."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from gonogo.instruments.data.columns import Columns, columns, equal_columns, explained, naming_columns, ranks
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@given(st.integers(0, 99), st.booleans())
def test_the_share_explained_is_that_of_a_regression_column_by_column(seed, classes):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(40, 3, generator=generator).double()
    y = torch.randint(4, (40,), generator=generator).double() if classes else x[:, 0] + 0.3 * x[:, 1]
    x[:, 2] += y
    by_hand = []
    for column in x.T:
        if classes:
            guess = torch.stack([column[y == one].mean() for one in y])
        else:
            both = torch.stack([y, torch.ones_like(y)], 1)
            guess = both @ torch.linalg.lstsq(both, column[:, None]).solution.squeeze(1)
        by_hand.append(1 - (column - guess).square().sum() / (column - column.mean()).square().sum())
    assert torch.allclose(explained(Columns({"x": x}, y, classes), "x"), torch.stack(by_hand))


def test_constant_columns_explain_nothing():
    found = Columns({"x": torch.ones(8, 2).double()}, torch.arange(8).double(), classes=False)
    assert explained(found, "x").tolist() == [0.0, 0.0]


def test_copies_are_found_by_number_and_by_class():
    y = torch.tensor([0.0, 1, 2, 1, 0])
    ones = torch.nn.functional.one_hot(y.long()).double()
    noise = torch.randn(5, 1).double()
    assert equal_columns(Columns({"x": torch.cat([noise, y[:, None]], 1)}, y, True), "x") == [1]
    assert equal_columns(Columns({"x": torch.cat([noise, ones], 1)}, y, True), "x") == [1, 2, 3]
    assert equal_columns(Columns({"x": torch.cat([noise, ones[:, :2]], 1)}, y, True), "x") == []


def test_wide_targets_have_no_columns():
    def ask(*parts: torch.Tensor) -> Columns | None:
        return columns(Session(Subject("s", splits={"train": lambda: DataLoader(TensorDataset(*parts), 8)})))

    x = torch.randn(20, 3)
    assert ask(x, x) is None
    assert ask(x[:, :1], x[:, 0]) is None
    found = ask(x, x[:, 0])
    assert found is not None
    assert found.inputs["0"].shape == (20, 3)


def test_equal_numbers_share_a_rank():
    assert ranks(torch.tensor([[3.0], [1.0], [3.0], [2.0]]).double())[:, 0].tolist() == [3.5, 1, 3.5, 2]


def test_a_column_in_the_order_of_the_target_is_explained_and_a_noisy_one_is_not():
    y = torch.randn(256, generator=torch.Generator().manual_seed(0)).double()
    noisy = y + 0.1 * torch.randn(256, generator=torch.Generator().manual_seed(1)).double()
    x = torch.stack([y.argsort().argsort().double(), y.exp(), -(y**3), noisy, y.square()], 1)
    shares = explained(Columns({"x": x}, y, False), "x")
    assert shares[:3].tolist() == pytest.approx([1, 1, 1])
    assert shares[3:].max() < 0.999


def test_a_token_for_each_class_names_it_and_a_word_that_only_some_samples_of_a_class_have_does_not():
    y = torch.tensor([0.0, 1, 2, 1, 0])
    ids = torch.tensor([[7, 2, 5], [4, 2, 5], [9, 3, 6], [4, 3, 6], [7, 2, 6]])
    assert naming_columns(Columns({}, y, True, {"ids": ids}), "ids") == [0]
    assert naming_columns(Columns({}, y, False, {"ids": ids}), "ids") == []


def test_sentences_are_cut_to_the_shortest_batch_and_masks_are_no_ids():
    ids, y = [torch.randint(9, (8, width)) for width in (5, 3)], torch.arange(8) % 2
    batches = [{"ids": one, "mask": (one > 4).long(), "label": y} for one in ids]
    found = columns(Session(Subject("s", splits={"train": batches})))
    assert found is not None
    assert {name: one.shape for name, one in found.ids.items()} == {"ids": (16, 3)}
