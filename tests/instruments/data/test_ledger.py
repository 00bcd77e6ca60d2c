"""Counting and comparing passes over loaders."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from gonogo.errors import NotApplicable
from gonogo.instruments.data import ledger


@given(st.lists(st.binary(max_size=1), min_size=1, max_size=8), st.integers(1, 4))
def test_multiplicity_is_that_of_every_item(prints, times):
    assert ledger.multiplicity(prints, prints * times) == times
    assert Counter(prints * times) == Counter({key: times * count for key, count in Counter(prints).items()})


def test_other_items_or_uneven_copies_have_no_multiplicity():
    assert ledger.multiplicity([b"a", b"b"], [b"a", b"b", b"a"]) == 0
    assert ledger.multiplicity([b"a"], [b"b"]) == 0
    assert ledger.multiplicity([], []) == 0
    assert ledger.multiplicity([b"a", b"a"], [b"a"]) == 0


def test_passes_end_at_the_limit_or_by_themselves():
    assert ledger.count_pass(range(5), most=5, seconds=9) == ledger.Count(5, complete=True)
    assert ledger.count_pass(range(5), most=4, seconds=9) == ledger.Count(4, complete=False)
    assert not ledger.read_pass(iter(int, 1), most=9, seconds=0.0).complete
    assert len(ledger.read_pass([1, 2, 1], most=9, seconds=9).prints) == 3


def test_a_wrapper_shows_its_only_loader():
    class Wrapper:
        def __init__(self, *loaders: object) -> None:
            self.first, self.rest = loaders[0], loaders[-1]

    loader = DataLoader([1, 2])  # type: ignore[arg-type]
    assert ledger.torch_loader(loader) is loader
    assert ledger.torch_loader(Wrapper(loader, None)) is loader
    assert ledger.torch_loader(Wrapper(loader, DataLoader([3]))) is None  # type: ignore[arg-type]
    assert ledger.torch_loader([1, 2]) is None


def test_objects_that_cannot_be_read_are_not_compared():
    with pytest.raises(NotApplicable):
        ledger.print_of(object())
