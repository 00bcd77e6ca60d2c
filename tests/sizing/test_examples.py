"""The plans that are shown are those that the documents speak of."""

from pathlib import Path

import torch

from gonogo.core.profile import parse_yaml
from gonogo.sizing.programs import decoder
from gonogo.sizing.stated import plan as stated_plan

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def stated(name):
    return parse_yaml((EXAMPLES / name).read_text(encoding="utf-8"), name)


def test_the_13b_example_has_exactly_the_parameters_that_it_says():
    plan = stated("llm_13b.yaml")
    with torch.device("meta"):
        model = decoder.Decoder(decoder.shape_of(plan["model"], "model"), plan["training"]["sequence"])
    count = sum(parameter.numel() for parameter in model.parameters())
    claimed = stated_plan.parameters(plan["claims"]["parameters"], "claims")
    assert count == 13_139_072_000
    assert abs(count - claimed.value) <= claimed.step / 2
