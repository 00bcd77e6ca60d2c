"""Answers by construction: the best class is where it was put, and the values of a row stay its own."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from gonogo.instruments.evaluation.oracle import Oracle, class_target, reordered
from gonogo.training.claims import Claims


@given(st.integers(1, 9), st.integers(2, 6), st.integers(0, 99))
def test_right_answers_choose_the_target_and_wrong_ones_never(rows, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, classes, generator=generator)
    target = torch.randint(classes, (rows,), generator=generator)
    right, wrong = reordered(scores, target), reordered(scores, target, wrong=True)
    assert right is not None
    assert wrong is not None
    assert right.argmax(1).equal(target)
    assert not (wrong.argmax(1) == target).any()
    for new in (right, wrong):
        assert new.sort(1).values.equal(scores.sort(1).values)


def test_layouts_that_are_not_understood_are_left_alone():
    target = torch.tensor([0, 1])
    assert reordered(torch.zeros(2, 3), target) is None  # no single largest value
    assert reordered(torch.randn(2), target) is None
    assert reordered(torch.randn(3, 3), target) is None
    assert reordered(torch.randn(2, 3), torch.tensor([0, -100])) is None
    oracle = Oracle(Claims(), batch=(torch.randn(2, 3), torch.randn(2)))
    assert oracle.answer({"logits": torch.randn(2, 3)}) is not None
    assert (oracle.replaced, oracle.kept) == (0, 1)


def test_among_several_heads_the_one_that_the_loss_scores_is_replaced():
    scores, aside = torch.randn(2, 3), torch.randn(2, 3)
    batch = {"x": torch.randn(2, 3), "label": torch.tensor([2, 0])}
    oracle = Oracle(Claims(), batch=batch, confirm=lambda batch, classes: frozenset({"logits"}))
    found = oracle.answer({"logits": scores, "aside": aside, "score": torch.randn(2, 1)})
    assert found["logits"].argmax(1).tolist() == [2, 0]
    assert found["aside"] is aside


def test_the_target_is_one_vector_of_classes():
    x, y = torch.randn(4, 2), torch.tensor([0, 1, 2, 1])
    assert class_target((x, y), Claims()) is not None
    assert class_target({"x": x, "label": y}, Claims()) is not None
    assert class_target((x, y, y), Claims()) is None
    assert class_target((x, y.float()), Claims()) is None
