import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.core.criterion import Criterion, Interval, Status, at_least, at_most, number, quantity, within
from gonogo.core.measurement import Measurement
from gonogo.errors import ProfileError

NUMBERS = st.floats(-1e6, 1e6)


@st.composite
def criteria(draw):
    """Any criterion: four ordered limits, each possibly absent, the outer ones outside the inner ones."""
    a, b, c, d = sorted(draw(st.lists(NUMBERS, min_size=4, max_size=4)))
    low = draw(st.sampled_from([(None, None), (None, b), (a, b), (a, a)]))
    high = draw(st.sampled_from([(None, None), (None, c), (d, c), (d, d)]))
    return Criterion("m", Interval(low[1], high[1]), Interval(low[0], high[0]), "hypothesis")


@st.composite
def nested(draw):
    """A measurement, and the same one with a wider interval."""
    a, b, value, c, d = sorted(draw(st.lists(NUMBERS, min_size=5, max_size=5)))
    return Measurement(value, low=b, high=c), Measurement(value, low=a, high=d)


def inside(interval, number):
    return (interval.lo is None or number >= interval.lo) and (interval.hi is None or number <= interval.hi)


@given(criteria(), nested())
def test_pass_means_that_the_whole_interval_is_accepted_and_nothing_else_does(criterion, pair):
    low, high = pair[0].interval
    accepted = inside(criterion.accept, low) and inside(criterion.accept, high)
    assert (criterion.judge(pair[0]).status is Status.PASS) == accepted


@given(criteria(), nested())
def test_fail_means_that_the_whole_interval_is_on_one_side_outside(criterion, pair):
    (low, high), outer = pair[0].interval, criterion.tolerate
    outside = (outer.lo is not None and high < outer.lo) or (outer.hi is not None and low > outer.hi)
    assert (criterion.judge(pair[0]).status is Status.FAIL) == outside


@given(criteria(), nested())
def test_every_finite_measurement_gets_one_of_three_answers_with_a_reason(criterion, pair):
    verdict = criterion.judge(pair[0])
    assert verdict.status in (Status.PASS, Status.WARN, Status.FAIL)
    assert verdict.reason.startswith("m is ")


@given(criteria(), nested())
def test_less_certainty_never_decides_what_was_undecided(criterion, pair):
    narrow, wide = (criterion.judge(measured).status for measured in pair)
    assert wide in (narrow, Status.WARN)


@given(criteria(), NUMBERS)
def test_an_exact_number_is_never_called_inconclusive(criterion, value):
    assert "inconclusive" not in criterion.judge(Measurement(value)).reason


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_fails_even_without_limits(bad):
    verdict = at_most("m", source="").judge(Measurement(bad))
    assert verdict.status is Status.FAIL
    assert str(bad) in verdict.reason


def test_an_interval_across_a_limit_is_inconclusive_and_says_how_many_were_seen():
    verdict = at_most("m", fail=1.0, source="").judge(Measurement(0.9, low=0.7, high=1.1, n=32))
    assert verdict.status is Status.WARN
    assert "inconclusive" in verdict.reason
    assert "n = 32" in verdict.reason


def test_an_interval_across_the_warn_limit_alone_is_inconclusive_too():
    verdict = at_most("m", warn=1, fail=9, source="").judge(Measurement(1.5, low=0.5, high=2))
    assert verdict.status is Status.WARN
    assert "inconclusive against at most 1" in verdict.reason


def test_between_the_limits_is_a_warning_that_names_the_stricter_one():
    verdict = at_most("m", warn=1, fail=2, source="").judge(Measurement(1.5))
    assert (verdict.status, verdict.reason) == (Status.WARN, "m is 1.5; expected at most 1")


def test_the_limit_itself_is_accepted():
    assert at_most("m", fail=1, source="").judge(Measurement(1)).status is Status.PASS
    assert at_least("m", fail=1, source="").judge(Measurement(1)).status is Status.PASS


def test_a_limit_of_warning_alone_never_fails():
    assert at_least("m", warn=1, source="").judge(Measurement(-1e300)).status is Status.WARN


def test_statuses_aggregate_by_severity():
    assert list(Status) == sorted([Status.ERROR, Status.FAIL, Status.WARN, Status.SKIP, Status.PASS])
    assert max(Status.PASS, Status.WARN, Status.SKIP) is Status.WARN


def test_an_empty_interval_is_refused():
    with pytest.raises(ProfileError, match=r"\[2, 1\] is empty"):
        Interval(2, 1)


@pytest.mark.parametrize(
    ("make", "warn", "fail"),
    [
        (at_most, 3, 2),
        (at_least, 1, 2),
        (within, (0, 3), (1, 3)),
        (within, (1, 4), (1, 3)),
        (within, (None, 3), (1, 3)),
    ],
)
def test_a_warn_limit_outside_the_fail_limit_is_refused(make, warn, fail):
    with pytest.raises(ProfileError, match=r"warn limit .* outside the fail limit"):
        make("m", warn=warn, fail=fail, source="")


@given(NUMBERS, NUMBERS)
def test_other_limits_keep_the_direction(old, new):
    most = at_most("m", fail=old, source="").with_limits(fail=new)
    least = at_least("m", warn=old, source="").with_limits(warn=new)
    assert most.tolerate == Interval(hi=new)
    assert least.accept == Interval(lo=new)


def test_a_criterion_that_only_warns_keeps_its_direction_when_it_gets_a_fail_limit():
    assert at_most("m", warn=5, source="").with_limits(fail=9).tolerate == Interval(hi=9)
    assert at_least("m", warn=5, source="").with_limits(fail=1).tolerate == Interval(lo=1)


def test_moving_the_outer_limit_inwards_moves_the_inner_one_along():
    assert at_most("m", warn=5, fail=10, source="").with_limits(fail=3).accept == Interval(hi=3)
    assert at_least("m", warn=5, fail=1, source="").with_limits(fail=7).accept == Interval(lo=7)


def test_moving_the_outer_limit_outwards_leaves_the_inner_one():
    assert at_most("m", warn=5, fail=10, source="").with_limits(fail=30).accept == Interval(hi=5)


def test_both_limits_can_move_to_where_neither_was():
    moved = within("m", warn=(0.05, 1.5), source="").with_limits(fail=[2, 3], warn=[2.2, 2.8])
    assert (moved.accept, moved.tolerate) == (Interval(2.2, 2.8), Interval(2, 3))


def test_no_limit_is_a_limit_that_can_be_given():
    assert at_most("m", fail=1, source="").with_limits(fail=None).tolerate == Interval()


def test_without_other_limits_the_criterion_is_the_same():
    criterion = within("m", warn=(1, 2), fail=(0, 3), source="")
    assert criterion.with_limits() == criterion


@pytest.mark.parametrize(
    ("criterion", "limits", "words"),
    [
        (at_most("m", fail=1, source=""), {"fial": 3}, "unknown limit 'fial'"),
        (at_most("m", fail=1, source=""), {"fail": [0, 3]}, "one number was expected"),
        (within("m", fail=(0, 1), source=""), {"fail": 3}, "two numbers"),
        (within("m", fail=(0, 1), source=""), {"fail": [2, 3]}, "empty"),
    ],
)
def test_limits_that_do_not_fit_are_refused_in_words(criterion, limits, words):
    with pytest.raises(ProfileError, match=words):
        criterion.with_limits(**limits)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.123456, "1", "0.1235"),
        (1, "{sample}", "1 sample"),
        (12345, "{sample}", "12,345 samples"),
        (2.5, "{step}", "2.5 steps"),
        (2, "{loss}", "2 losses"),
        (0, "{entry}", "0 entries"),
        (2, "{key}", "2 keys"),
        (2e9, "By", "2 GB"),
        (999, "By", "999 B"),
        (1.5e6, "By/s", "1.5 MB/s"),
        (3, "{sample}/s", "3 sample/s"),
        (0.25, "s", "0.25 s"),
    ],
)
def test_numbers_read_as_a_person_writes_them(value, unit, shown):
    assert number(value, unit) == shown


def test_a_quantity_shows_its_interval_where_there_is_one():
    assert quantity(Measurement(0.5, low=0.25, high=0.75)) == "0.5 [0.25, 0.75]"
    assert quantity(Measurement(0.5)) == "0.5"
    assert quantity(Measurement(float("nan"))) == "nan"


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(), "anything"),
        (Interval(hi=1), "at most 1"),
        (Interval(lo=1), "at least 1"),
        (Interval(1, 2), "within 1 and 2"),
    ],
)
def test_an_interval_reads_as_words(interval, words):
    assert str(interval) == words
