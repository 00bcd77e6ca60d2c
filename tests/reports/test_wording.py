import pytest
from tests.reports.conftest import make_report, make_result

from gonogo.core.criterion import at_least, at_most, within
from gonogo.core.measurement import Evidence
from gonogo.reports import wording
from gonogo.reports.wording import State


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.0345, "34 ms"),
        (4.21, "4.2 s"),
        (59.99, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7512, "2 h 5 min"),
    ],
)
def test_a_duration_is_said_as_people_say_it(seconds, text):
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("criterion", "unit", "text"),
    [
        (at_most("x", fail=0.1, source=""), "1", "at most 0.1"),
        (at_most("x", warn=0.05, fail=0.1, source=""), "1", "at most 0.05 (fails above 0.1)"),
        (at_most("x", warn=5, source=""), "s", "at most 5 s (else a warning)"),
        (at_least("x", warn=9, fail=5, source=""), "{sample}", "at least 9 samples (fails below 5 samples)"),
        (within("x", fail=(2, 5), source=""), "{sample}", "2 to 5 samples"),
        (within("x", warn=(2, 3), fail=(1, 4), source=""), "1", "2 to 3 (fails outside 1 to 4)"),
        (within("x", fail=(3, 3), source=""), "1", "exactly 3"),
        (within("x", fail=(None, None), source=""), "1", "anything"),
    ],
)
def test_a_limit_says_what_is_accepted_and_what_fails(criterion, unit, text):
    assert wording.limit(criterion, unit) == text


@pytest.mark.parametrize(
    ("text", "shown"), [("call it", "Call it"), ("requires_grad is", "requires_grad is"), ("", "")]
)
def test_a_sentence_starts_with_a_capital_unless_it_starts_with_code(text, shown):
    assert wording.sentence(text) == shown


@pytest.mark.parametrize("of", ["word", "shape", "ascii"])
def test_no_two_states_look_the_same_without_colour(of):
    assert len({getattr(state.value, of) for state in State}) == len(State)


def test_every_shape_has_an_ascii_twin():
    looks = (*(state.value for state in State), *wording.VERDICTS.values())
    assert all(look.shape.translate(wording.TO_ASCII).isascii() for look in looks)


def test_a_waived_failure_is_shown_as_waived(no_go):
    states = {result.id: wording.state(result) for result in no_go.results}
    assert states["config.unused-keys"] is State.WAIVED
    assert states["data.split-overlap"] is State.FAIL


def test_the_tally_counts_every_result_once(no_go):
    tally = wording.tally(no_go.results)
    assert sum(tally.values()) == len(no_go.results)
    assert tally[State.SKIP] == 6


def test_a_go_of_what_was_only_read_does_not_say_ready():
    read = make_result("code.stubs", evidence=Evidence.READ)
    assert wording.headline(make_report(read)) == "GO: nothing wrong was found by reading; nothing was run"
    measured = make_result("model.determinism", evidence=Evidence.FULL)
    assert wording.headline(make_report(read, measured)) == "GO: ready to launch"


def test_a_go_of_a_watched_script_speaks_of_what_was_seen():
    seen = make_result("watch.clearing", evidence=Evidence.SCALED)
    assert wording.headline(make_report(seen)) == "GO: nothing wrong in what was seen of the training"
