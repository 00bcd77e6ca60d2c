import torch
from torch import nn

from gonogo.instruments.memo import instrument
from gonogo.training import fingerprint
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@instrument
def drawn(session, *, count=2):
    """Random numbers: the hardest case."""
    return torch.rand(count).tolist()


@instrument
def also_drawn(session, *, count=2):
    """Another instrument."""
    return torch.rand(count).tolist()


def session(seed=0):
    return Session(Subject("x", model=lambda: nn.Linear(2, 1)), seed=seed)


def test_an_instrument_measures_once_per_session():
    one = session()
    assert drawn(one) is drawn(one)
    assert drawn(one) is not drawn(session())


def test_narrowed_sessions_share_what_was_measured():
    one = session()
    assert drawn(one.narrowed([], 5)) is drawn(one)


def test_a_fresh_session_measures_again():
    one = session()
    assert drawn(one.fresh([], 5)) is not drawn(one)


def test_the_result_does_not_depend_on_which_instrument_was_asked_first():
    one, other = session(), session()
    first = drawn(one), also_drawn(one)
    torch.rand(3)
    also, second = also_drawn(other), drawn(other)
    assert first == (second, also)


def test_each_instrument_and_each_argument_has_its_own_random_numbers():
    one = session()
    assert len({tuple(drawn(one)), tuple(also_drawn(one)), tuple(drawn(one, count=3)[:2])}) == 3


def test_another_seed_gives_other_numbers():
    assert drawn(session(1)) != drawn(session(2))


def test_the_generators_are_left_as_they_were():
    before = fingerprint.of_process()
    drawn(session())
    assert fingerprint.changed(before, fingerprint.of_process()) == []


def test_an_instrument_keeps_its_name_and_words():
    assert drawn.__name__ == "drawn"
    assert drawn.__doc__ == "Random numbers: the hardest case."


def test_a_default_says_the_same_as_its_value():
    one = session()
    assert drawn(one, count=2) is drawn(one)
