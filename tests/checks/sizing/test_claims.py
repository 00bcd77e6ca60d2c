"""Plans in configurations: only those that are there, and only lines that cannot be."""

from dataclasses import replace
from pathlib import Path

import pytest

from gonogo.checks.sizing.claims import claims
from gonogo.errors import NotApplicable, SubjectError
from gonogo.testing.toys import TOYS
from gonogo.training.session import Session

EXAMPLE = Path(__file__).parent.parent.parent.parent / "examples" / "astro_memory_plan.yaml"


def found(config):
    observation = claims(Session(replace(TOYS["classifier"](), config=config)))
    return observation.measurements["wrong_lines"].value, observation.tables[0].rows


def test_the_wrong_lines_of_a_published_plan_are_read_from_its_file():
    count, rows = found(EXAMPLE)
    assert count == len(rows) == 8


def test_a_right_plan_of_a_small_model_on_one_card_is_not_accused():
    lines = {"weights": "0.34 GB", "gradients": "0.34 GB", "optimizer": "0.68 GB", "activations": 6.1, "total": 7.5}
    stages = [{"name": "as trained", "remedies": ["autocast"], "lines": lines, "per_device": 7.5, "fits": True}]
    assert found({"memory_plan": {"parameters": "85M", "devices": "1xA5000", "stages": stages}})[0] == 0


@pytest.mark.parametrize("config", [{"lr": 0.1}, {"memory_plan": "see wiki"}, {"memory_plan": {"strategy": "lazy"}}])
def test_a_configuration_without_a_plan_is_not_asked(config):
    with pytest.raises(NotApplicable):
        found(config)


def test_an_unknown_remedy_names_the_nearest():
    with pytest.raises(SubjectError, match="Did you mean 'fsdp"):
        found({"memory_plan": {"parameters": 1e9, "stages": [{"name": "a", "remedies": ["fsdp3"]}]}})


def test_a_plan_may_be_claimed_without_a_configuration():
    lines = {"weights": 2, "gradients": 4, "optimizer": 8}
    plan = {"parameters": "1.00B", "stages": [{"name": "a", "remedies": ["fp32"], "lines": lines}]}
    subject = replace(TOYS["classifier"]().with_claims(memory_plan=plan), config=None)
    assert claims(Session(subject)).measurements["wrong_lines"].value == 1
