import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from gonogo_recipes.maft.batch import Batch
from gonogo_recipes.maft.losses import compute_loss, consistency, loss, reconstruction
from gonogo_recipes.maft.model import build_model
from gonogo_recipes.maft.settings import Settings

ALL = torch.ones(4, 3, dtype=torch.bool)


def logits(scale: float = 1.0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [scale * torch.randn(4, 2, generator=generator, dtype=torch.float64) for _ in range(3)]


@pytest.mark.requirement("MAFT-2.5")
def test_the_loss_is_the_weighted_sum_of_its_four_terms(settings: Settings, batch: Batch) -> None:
    torch.manual_seed(0)
    total, terms = compute_loss(settings, build_model(settings).double()(batch), batch)
    weights = settings.training
    by_hand = (
        weights.classification_weight * terms["classification"]
        + weights.regression_weight * terms["regression"]
        + weights.consistency_weight * terms["consistency"]
        + weights.reconstruction_weight * terms["reconstruction"]
    )
    assert total.shape == ()
    torch.testing.assert_close(total, by_hand)


@pytest.mark.requirement("MAFT-2.5")
def test_cross_entropy_and_absolute_error_are_those_of_the_heads(settings: Settings, batch: Batch) -> None:
    torch.manual_seed(0)
    outputs = build_model(settings).double().eval()(batch)
    _, terms = compute_loss(settings, outputs, batch)
    likely = outputs["logits"].softmax(-1)[torch.arange(4), batch["label"]]
    torch.testing.assert_close(terms["classification"], -likely.log().mean())
    torch.testing.assert_close(terms["regression"], (outputs["regression"][:, 0] - batch["score"]).abs().mean())


@pytest.mark.requirement("MAFT-2.5")
def test_consistency_is_the_mean_symmetric_divergence_of_all_pairs() -> None:
    logs = [x.log_softmax(-1) for x in logits()]

    def kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return functional.kl_div(q, p, log_target=True, reduction="batchmean")

    pairs = [(kl(logs[i], logs[j]) + kl(logs[j], logs[i])) / 2 for i, j in ((0, 1), (0, 2), (1, 2))]
    torch.testing.assert_close(consistency(logits(), ALL), torch.stack(pairs).mean())


@pytest.mark.requirement("MAFT-2.5")
def test_consistency_stays_finite_with_extreme_logits() -> None:
    extreme = [torch.tensor([[1e4, -1e4]], requires_grad=True), torch.tensor([[-1e4, 1e4]], requires_grad=True)]
    value = consistency(extreme, torch.ones(1, 2, dtype=torch.bool))
    value.backward()
    assert torch.isfinite(value)
    assert all(torch.isfinite(x.grad).all() for x in extreme if x.grad is not None)


def test_an_absent_modality_gets_no_gradient_from_consistency() -> None:
    opinions = [x.requires_grad_() for x in logits()]
    present = ALL.clone()
    present[:, 1] = False
    consistency(opinions, present).backward()
    assert opinions[1].grad is not None
    assert opinions[1].grad.abs().max() == 0
    assert opinions[0].grad is not None
    assert opinions[0].grad.abs().max() > 0


def test_a_lone_modality_has_no_one_to_agree_with() -> None:
    opinions = [x.requires_grad_() for x in logits()]
    present = torch.tensor([[True, False, False]]).expand(4, -1)
    value = consistency(opinions, present)
    value.backward()
    assert value == 0
    assert all(x.grad is not None and x.grad.abs().max() == 0 for x in opinions)


def test_what_an_absent_modality_says_does_not_matter_even_if_it_is_nan() -> None:
    absent = torch.tensor([[True, True, False]]).expand(4, -1)
    clean, poisoned = logits(), logits()
    poisoned[2] = torch.full_like(poisoned[2], torch.nan)
    assert torch.equal(consistency(clean, absent), consistency(poisoned, absent))


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=6, max_size=6))
def test_consistency_is_never_negative_and_is_zero_among_equals(values: list[float]) -> None:
    x = torch.tensor(values, dtype=torch.float64).view(3, 1, 2)
    some = torch.ones(1, 3, dtype=torch.bool)
    assert consistency(list(x), some) >= 0
    assert consistency([x[0]] * 3, some) == 0


@pytest.mark.requirement("MAFT-2.5")
def test_only_dropped_modalities_are_reconstructed() -> None:
    guess, target = (
        torch.zeros(2, 3, 5, requires_grad=True),
        torch.ones(2, 3, 5) * torch.tensor([1.0, 2.0, 3.0])[:, None],
    )
    dropped = torch.tensor([[False, True, False], [False, False, True]])
    value = reconstruction(guess, target, dropped)
    value.backward()
    assert value == 2.5
    assert guess.grad is not None
    assert torch.equal(guess.grad.abs().sum(-1) > 0, dropped)


def test_a_batch_that_lost_nothing_has_nothing_to_reconstruct() -> None:
    guess = torch.randn(2, 3, 5, requires_grad=True)
    value = reconstruction(guess, torch.randn(2, 3, 5), torch.zeros(2, 3, dtype=torch.bool))
    value.backward()
    assert value == 0
    assert guess.grad is not None
    assert guess.grad.abs().max() == 0


def test_the_target_of_the_reconstruction_learns_nothing() -> None:
    target = torch.randn(2, 3, 5, requires_grad=True)
    assert not reconstruction(torch.zeros(2, 3, 5), target, torch.ones(2, 3, dtype=torch.bool)).requires_grad


def test_the_guess_is_a_part_of_the_model_so_it_is_trained_and_saved(settings: Settings) -> None:
    assert any("reconstruction" in name for name in build_model(settings).state_dict())


def test_without_settings_the_loss_has_the_default_weights(settings: Settings, batch: Batch) -> None:
    model = build_model(settings).double().eval()
    torch.testing.assert_close(loss(model, batch), compute_loss(Settings(), model(batch), batch)[0])
