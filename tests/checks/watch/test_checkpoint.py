import pytest

from gonogo.checks.watch.checkpoint import _counts


@pytest.mark.parametrize(
    ("name", "told"), [("epochs_run", True), ("trainer.iteration", True), ("args.epochs", False), ("lr", False)]
)
def test_counters_are_told_from_settings(name, told):
    assert _counts(name) is told
