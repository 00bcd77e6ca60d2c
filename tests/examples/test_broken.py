"""That the checks find each mistake is tested with the checks; here only that each run is what its file says."""

import pickle
import re
from importlib import import_module
from itertools import islice
from pathlib import Path

import digits
import hostile
import pytest

BROKEN = Path(__file__).parents[2] / "examples" / "broken"
MISTAKES = sorted(path.stem for path in BROKEN.glob("digits_*.py"))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_names_the_check_that_must_find_it_and_does_not_crash(name):
    module = import_module(name)
    assert re.search(r"^Mistake: .*Caught by [a-z]+\.[a-z-]+", module.__doc__, re.DOTALL)
    subject = module.subject()
    model = subject.model()
    optimizer = subject.optimizer(model)
    subject.loss(model, next(iter(subject.splits["train"].batches()))).backward()
    optimizer.step()
    assert "accuracy" in subject.evaluate(model, subject.splits["valid"].batches())


@pytest.mark.parametrize("name", ["segfault", "hang", "oom", "exit", "quit", "flood", "unpicklable", "endless"])
def test_a_hostile_run_can_be_described_without_harm(name):
    assert getattr(hostile, name)().provides() >= digits.subject().provides()


def test_quit_leaves_by_the_front_door():
    with pytest.raises(SystemExit):
        hostile.quit().splits["train"].groups()


def test_unpicklable_raises_what_cannot_be_pickled():
    with pytest.raises(hostile.UnpicklableError) as caught:
        hostile.unpicklable().splits["train"].groups()
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(caught.value)


def test_endless_goes_on_after_one_pass():
    one_pass = len(digits.subject().splits["train"].batches())
    batches = list(islice(hostile.endless().splits["train"].batches(), one_pass + 3))
    assert len(batches) == one_pass + 3
