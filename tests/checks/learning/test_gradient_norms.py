"""The size of gradients is judged without the unit of the loss."""

from gonogo.checks.learning.gradient_norms import gradient_norms
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS
from gonogo.training.subject import Subject

CHECK = gradient_norms.check  # type: ignore[attr-defined]


def scaled(factor: float, shift: float = 0.0) -> Subject:
    return TOYS["regressor"]().map_loss(lambda loss: lambda model, batch: loss(model, batch) * factor + shift)


def test_the_unit_of_the_loss_does_not_matter():
    for factor in (1e9, 1e-6):
        result = answer(CHECK, scaled(factor))
        assert result.observation is not None
        measured = result.observation.measurements
        assert result.status is Status.PASS
        assert 0 < (measured["exploding"].value or 0) < 100


def test_a_loss_below_zero_has_no_size_and_is_not_asked():
    result = answer(CHECK, scaled(1.0, shift=-50.0))
    assert result.observation is not None
    measured = result.observation.measurements
    assert result.status is Status.PASS
    assert "exploding" not in measured
