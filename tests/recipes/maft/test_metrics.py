"""Metrics against scikit-learn and against the published definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from gonogo.errors import SubjectError
from gonogo_recipes.maft import metrics

pytestmark = pytest.mark.requirement("MAFT-3.4")

PAIRS = st.lists(
    st.tuples(st.sampled_from([-3.2, -2.5, -1.0, -0.5, 0.0, 0.4, 1.5, 2.5]), st.integers(-3, 3)), min_size=2
)


@given(PAIRS)
def test_signs_agree_with_scikit_learn(pairs: list[tuple[float, int]]) -> None:
    answer, truth = np.array(pairs).T
    found = metrics.of_scores(answer, truth)
    assert found["acc2-has0"].value == oracle.accuracy_score(truth >= 0, answer >= 0)
    assert found["acc2-mult"].value == oracle.accuracy_score(truth > 0, answer > 0)
    assert found["f1-weighted-has0"].value == pytest.approx(
        oracle.f1_score(truth >= 0, answer >= 0, average="weighted")
    )
    kept = truth != 0
    if kept.any():
        assert found["acc2-non0"].value == oracle.accuracy_score(truth[kept] > 0, answer[kept] > 0)
        expected = oracle.f1_score(truth[kept] > 0, answer[kept] > 0, average="weighted")
        assert found["f1-weighted-non0"].value == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_classes_agree_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    answer, truth = np.array(pairs).T
    found = metrics.of_classes(torch.tensor(answer), torch.tensor(truth))
    assert found["accuracy"].value == oracle.accuracy_score(truth, answer)
    assert found["f1-weighted"].value == pytest.approx(
        oracle.f1_score(truth, answer, average="weighted", zero_division=0)
    )


@given(st.lists(st.tuples(st.floats(-4, 4), st.floats(-3, 3)), min_size=2))
def test_every_metric_lies_in_its_range(pairs: list[tuple[float, float]]) -> None:
    for metric in metrics.of_scores(*np.array(pairs).T).values():
        low, high = {"mae": (0, 7), "pearson": (-1, 1)}.get(metric.id, (0, 1))
        assert metric.value is None or low <= metric.value <= high


def test_zeros_make_three_different_accuracies() -> None:
    truth, answer = [0.0, 0.0, 1.0, -1.0, 2.0], [-0.1, 0.2, 0.0, -2.0, 1.0]
    found = metrics.of_scores(answer, truth)
    assert [found[f"acc2-{kind}"].value for kind in ("has0", "non0", "mult")] == [0.8, pytest.approx(2 / 3), 0.6]
    assert found["acc2-non0"].n == 3


def test_halves_go_to_even_or_away_from_zero() -> None:
    halves = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 9.0])
    assert metrics.half_to_even(halves, 3).tolist() == [-2, -2, 0, 0, 2, 2, 3]
    assert metrics.half_away(halves, 3).tolist() == [-3, -2, -1, 1, 2, 3, 3]


def test_five_classes_end_at_two() -> None:
    assert metrics.of_scores([2.9], [2.0])["acc5-half-to-even"].value == 1.0


def test_f1_weighs_by_the_truth_not_by_the_prediction() -> None:
    truth, answer = [0, 0, 0, 0, 1, 1], [0, 1, 1, 1, 1, 1]
    right, swapped = metrics.of_classes(answer, truth), metrics.of_classes(truth, answer)
    assert right["f1-weighted"].value != swapped["f1-weighted"].value
    assert right["f1-weighted"].value == pytest.approx(oracle.f1_score(truth, answer, average="weighted"))


def test_pearson_agrees_with_numpy() -> None:
    answer, truth = np.random.default_rng(0).normal(size=(2, 50))
    assert metrics.of_scores(answer, truth)["pearson"].value == pytest.approx(np.corrcoef(answer, truth)[0, 1])


@pytest.mark.parametrize(("answer", "truth"), [([0.3, 0.3], [1.0, 2.0]), ([0.3, 0.5], [1.0, 1.0])])
def test_a_constant_has_no_correlation(answer: list[float], truth: list[float]) -> None:
    pearson = metrics.of_scores(answer, truth)["pearson"]
    assert pearson.value is None
    assert "needs two values" in pearson.why


def test_predictions_that_are_no_numbers_are_counted_not_scored() -> None:
    found = metrics.of_scores(torch.tensor([[float("nan")], [1.0]]), torch.tensor([1.0, 1.0]))
    assert {metric.value for metric in found.values()} == {None}
    assert found["mae"].why == "1 of 2 predictions are not finite"


def test_no_samples_have_no_metrics() -> None:
    assert all(metric.value is None and metric.why for metric in metrics.of_scores([], []).values())
    assert all(metric.value is None and metric.why for metric in metrics.of_classes([], []).values())


def test_lengths_must_agree() -> None:
    with pytest.raises(SubjectError, match="2 predictions for 1 true values"):
        metrics.of_scores([1.0, 2.0], [1.0])
