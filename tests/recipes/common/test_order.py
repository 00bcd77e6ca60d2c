from hypothesis import given
from hypothesis import strategies as st

from gonogo_recipes.common.order import EpochOrder


@given(st.integers(1, 200), st.integers(0, 5))
def test_an_epoch_has_every_sample_once(length, epoch):
    order = EpochOrder(length, 3)
    order.go_to(epoch, 0)
    assert sorted(order) == list(range(length))


@given(st.integers(1, 200), st.integers(0, 5), st.integers(0, 200))
def test_an_epoch_entered_in_the_middle_is_the_rest_of_it(length, epoch, start):
    whole, late = EpochOrder(length, 3), EpochOrder(length, 3)
    whole.go_to(epoch, 0)
    late.go_to(epoch, start)
    assert list(whole)[start:] == list(late)
    assert list(whole) == list(late)  # and so is the next


def test_each_pass_is_another_epoch():
    order = EpochOrder(50, 0)
    assert list(order) != list(order)


def test_another_seed_is_another_order():
    assert list(EpochOrder(50, 0)) != list(EpochOrder(50, 1))
