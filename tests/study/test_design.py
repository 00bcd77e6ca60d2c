import math

import pytest
from tests.study.conftest import make_study

from gonogo.errors import SubjectError
from gonogo.study.design import Trial


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": "our"}, "no variant 'our'.*Did you mean 'ours'"),
        ({"constant": "median"}, "constant: there is no variant 'median'"),
        ({"notes": {"weaker": "x"}}, "Did you mean 'weak'"),
        ({"metrics": ()}, "has no metric"),
        ({"seeds": (1, 1)}, "each of them once"),
        ({"seeds": ()}, "give at least one"),
    ],
)
def test_a_study_that_cannot_be_is_refused_in_words(changes, message):
    with pytest.raises(SubjectError, match=message):
        make_study(**changes)


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_an_undefined_metric_is_none(value):
    trial = Trial(metrics={"correlation": value}, views={"without audio": {"correlation": value}})
    assert trial.metrics == {"correlation": None}
    assert trial.views == {"without audio": {"correlation": None}}
