import math

import pytest
import torch
from torch import Tensor

from gonogo_recipes.maft.batch import STREAMS
from gonogo_recipes.maft.fusion import Fusion, ModalityDropout, independent_rate
from gonogo_recipes.maft.settings import Settings

DRAWS = 4_000
BAND = 4.0  # standard errors: a right rate is outside once in 16,000 runs


def fusion_of(settings: Settings, layers: int = 2) -> Fusion:
    torch.manual_seed(0)
    return Fusion(settings.model.model_copy(update={"fusion_layers": layers})).double().eval()


def inputs(settings: Settings, size: int = 2) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = (size, 5, settings.model.hidden_dim)
    tokens = {s: torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for s in STREAMS}
    biases = {s: torch.zeros(size, 5, dtype=torch.float64) for s in STREAMS}
    return tokens, biases, torch.ones(size, 3, dtype=torch.bool)


def flow(fusion: Fusion, settings: Settings, out: str = "text", source: str = "audio") -> float:
    """Size of the gradient of a random projection of the tokens of `out` with respect to those of `source`."""
    tokens, biases, present = inputs(settings)
    result, _ = fusion(tokens, biases, present)
    probe = torch.randn(result[out].shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    [gradient] = torch.autograd.grad((result[out] * probe).sum(), [tokens[source]], allow_unused=True)
    return 0.0 if gradient is None else float(gradient.abs().max())


@pytest.mark.requirement("MAFT-2.2")
def test_streams_meet_through_the_bottlenecks(settings: Settings) -> None:
    assert flow(fusion_of(settings), settings) > 1e-6


@pytest.mark.requirement("MAFT-2.2")
def test_streams_meet_nowhere_else_than_in_the_bottlenecks(settings: Settings) -> None:
    fusion = fusion_of(settings)
    fusion.merged = lambda updates, present: fusion.bottlenecks.expand(len(present), -1, -1)  # type: ignore[method-assign]
    assert flow(fusion, settings) == 0


@pytest.mark.requirement("MAFT-2.2")
def test_one_layer_alone_carries_nothing_from_stream_to_stream(settings: Settings) -> None:
    assert flow(fusion_of(settings, layers=1), settings) == 0


@pytest.mark.requirement("MAFT-2.2")
def test_bottlenecks_are_averaged_over_present_modalities_alone(settings: Settings) -> None:
    updates = torch.randn(3, 2, 4, 6, dtype=torch.float64)
    present = torch.tensor([[True, True, True], [True, False, True]])
    merged = fusion_of(settings).merged(updates, present)
    torch.testing.assert_close(merged[0], updates[:, 0].mean(0))
    torch.testing.assert_close(merged[1], updates[[0, 2], 1].mean(0))


def test_the_order_of_the_modalities_does_not_matter_to_the_mean(settings: Settings) -> None:
    updates = torch.randn(3, 2, 4, 6, dtype=torch.float64)
    present = torch.tensor([[True, True, True], [True, False, True]])
    order = torch.tensor([2, 0, 1])
    fusion = fusion_of(settings)
    torch.testing.assert_close(fusion.merged(updates, present), fusion.merged(updates[order], present[:, order]))


def test_a_sample_without_any_modality_has_finite_bottlenecks(settings: Settings) -> None:
    tokens, _, present = inputs(settings)
    nothing = {stream: torch.full((2, 5), -torch.inf, dtype=torch.float64) for stream in STREAMS}
    _, shared = fusion_of(settings)(tokens, nothing, ~present)
    assert torch.isfinite(shared).all()


def test_bottlenecks_start_apart_so_that_they_can_become_different(settings: Settings) -> None:
    first, second = fusion_of(settings).bottlenecks.detach()[:2]
    assert not torch.allclose(first, second)


@pytest.mark.requirement("MAFT-2.3")
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5])
def test_each_modality_is_dropped_at_the_rate(rate: float) -> None:
    torch.manual_seed(0)
    dropped = ~ModalityDropout(rate).train()(torch.ones(DRAWS, 3, dtype=torch.bool))
    error = math.sqrt(rate * (1 - rate) / DRAWS)
    assert ((dropped.double().mean(0) - rate).abs() <= BAND * error).all()


@pytest.mark.requirement("MAFT-2.3")
def test_modality_dropout_is_off_in_evaluation() -> None:
    present = torch.rand(DRAWS, 3) < 0.7
    assert torch.equal(ModalityDropout(0.9).eval()(present), present)


@pytest.mark.requirement("MAFT-2.3")
@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_no_sample_loses_its_last_modality(rate: float) -> None:
    torch.manual_seed(0)
    present = torch.rand(DRAWS, 3) < 0.5
    kept = ModalityDropout(rate).train()(present)
    assert torch.equal(kept.any(-1), present.any(-1))


@pytest.mark.requirement("MAFT-2.3")
def test_what_is_absent_does_not_come_back() -> None:
    torch.manual_seed(0)
    present = torch.rand(DRAWS, 3) < 0.5
    assert not (ModalityDropout(0.5).train()(present) & ~present).any()


def test_all_seven_combinations_are_seen_in_training() -> None:
    torch.manual_seed(0)
    kept = ModalityDropout(0.5).train()(torch.ones(DRAWS, 3, dtype=torch.bool))
    assert len(kept.unique(dim=0)) == 7


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1, 0.5, 0.6666, 0.7, 1.0])
def test_the_rate_of_independent_draws_leads_to_the_rate_that_was_asked_for(rate: float) -> None:
    independent = independent_rate(rate)
    assert independent - independent**3 / 3 == pytest.approx(min(rate, 2 / 3), abs=1e-12)
