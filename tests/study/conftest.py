"""A study whose trials are drawn, not trained: quick, and the same for every seed."""

import random

import pytest

from gonogo.study.design import Metric, Study, Trial


def drawn(level, parameters=1000, size=400, **fields):
    """A variant that answers a share of `level` of its test samples right."""

    def variant(seed):
        draw = random.Random(f"{seed} {level}")
        right = tuple(float(draw.random() < level) for _ in range(size))
        return Trial(
            metrics={"accuracy": sum(right) / size}, samples={"accuracy": right}, parameters=parameters, **fields
        )

    return variant


def make_study(**changes):
    """Ours, a weaker one, and one without a difference."""
    fields = {
        "name": "drawn",
        "variants": {"ours": drawn(0.9), "weak": drawn(0.6), "strong": drawn(0.99)},
        "reference": "ours",
        "metrics": (Metric("accuracy"),),
    }
    return Study(**{**fields, **changes})


@pytest.fixture
def study():
    return make_study()
