"""Gradients of the recipe: each parameter has one, of a usable size, clipped to what is configured."""

from collections.abc import Mapping
from typing import Any

import pytest

from gonogo.core.catalogue import load_index
from gonogo.core.criterion import Status
from gonogo.core.report import Result
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject
from gonogo_recipes.maft.subject import build

SMALL: Mapping[str, Any] = {"size": "tiny", "data.samples": 64, "data.valid_samples": 32, "data.test_samples": 32}


@pytest.fixture(scope="module")
def maft() -> Subject:
    return build(None, **SMALL)


def said(check: str, subject: Subject) -> Result:
    [found] = [one for one in load_index() if one.id == check]
    return answer(found, subject)


@pytest.mark.requirement("MAFT-8.1", "MAFT-3.2")
def test_every_parameter_gets_a_gradient_from_the_whole_loss(maft: Subject):
    assert said("model.unused-parameters", maft).status is Status.PASS


@pytest.mark.requirement("MAFT-8.2", "MAFT-3.2")
def test_norms_are_told_by_part_and_by_parameter_and_are_usual(maft: Subject):
    result = said("gradient.vanishing-exploding", maft)
    assert result.status is Status.PASS
    assert result.observation is not None
    parts, each = result.observation.tables
    names = {str(row[0]) for row in parts.rows}
    assert len(names) >= 3, "encoders, fusion and heads"
    assert each.total == sum(1 for _ in maft._given("model")().parameters())


@pytest.mark.requirement("MAFT-8.3", "MAFT-3.2")
def test_clipping_holds_at_three_configured_norms(maft: Subject):
    result = said("gradient.clipping", maft)
    assert result.status is Status.PASS
    assert result.observation is not None
    assert {0.1, 1.0, 5.0} <= {row[0] for row in result.observation.tables[0].rows}


@pytest.mark.requirement("MAFT-2.5")
def test_the_terms_of_the_loss_are_found_with_their_weights(maft: Subject):
    result = said("loss.term-balance", maft)
    assert result.status is Status.PASS
    assert result.observation is not None
    rows = result.observation.tables[0].rows
    assert {"cross_entropy", "l1_loss"} <= {str(row[0]) for row in rows}
    assert sum(row[-1] for row in rows) == pytest.approx(1.0)  # type: ignore[misc]


@pytest.mark.requirement("MAFT-2.5", "MAFT-9.2")
@pytest.mark.parametrize("check", ["loss.extreme-values", "loss.target-sensitivity", "attention.rows"])
def test_general_checks_do_their_work_on_several_streams_and_tasks(maft: Subject, check: str):
    assert said(check, maft).status is Status.PASS


@pytest.mark.slow
@pytest.mark.requirement("MAFT-3.4")
@pytest.mark.parametrize("check", ["evaluation.metric-oracle", "evaluation.baselines"])
def test_the_evaluation_is_held_against_known_answers(maft: Subject, check: str):
    assert said(check, maft).status is Status.PASS


@pytest.mark.slow
@pytest.mark.requirement("MAFT-3.3", "MAFT-10.3")
def test_the_loss_falls_further_than_with_exchanged_labels():
    easy = {"data.task": "correlated", "data.correlation": 1.0, "model.modality_dropout": 0.0, "data.samples": 160}
    result = said("learning.loss-falls", build(None, **{**SMALL, **easy, "training.learning_rate": 0.01}))
    assert result.status in (Status.PASS, Status.SKIP)
    if result.observation is not None:
        assert result.observation.measurements["gain"].value > 0  # type: ignore[operator]
