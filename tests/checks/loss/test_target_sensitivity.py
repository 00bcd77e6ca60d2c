"""Losses that draw numbers, or that carry labels which they do not need, by right."""

import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.loss.target_sensitivity import target_sensitivity
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject


def verdict(loss, model=lambda: nn.Linear(4, 4), **claims):
    generator = torch.Generator().manual_seed(1)
    batches = [
        {"x": torch.randn(6, 4, generator=generator), "label": torch.randint(4, (6,), generator=generator)}
        for _ in range(3)
    ]
    given = Subject("by hand", model=model, loss=loss, splits={"train": batches}, claims=Claims(**claims))
    return answer(target_sensitivity.check, given).status


def denoise(model, batch):
    noise = torch.randn_like(batch["x"])
    return functional.mse_loss(model(batch["x"] + noise), noise)


def zero_head():
    layer = nn.Linear(4, 4)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def test_noise_that_the_model_is_asked_to_remove_is_a_target():
    assert verdict(denoise) is Status.PASS
    assert verdict(denoise, zero_head) is Status.PASS


def test_a_random_target_is_none():
    assert verdict(lambda m, b: functional.mse_loss(m(b["x"]), torch.randn(6, 4))) is Status.FAIL


def test_an_autoencoder_needs_no_label():
    assert verdict(lambda m, b: functional.mse_loss(m(b["x"]), b["x"])) is Status.PASS


def test_a_random_choice_of_what_is_compared_is_no_random_target():
    def some(model, batch):
        chosen = torch.randperm(6)[:3]
        return functional.cross_entropy(model(batch["x"])[chosen], batch["label"][chosen])

    assert verdict(some, classes=4) is Status.PASS


def test_a_random_slice_beside_the_target_is_no_random_target():
    def sliced(model, batch):
        z = model(batch["x"])
        return functional.mse_loss(z, batch["x"]) + (z @ torch.randn(4)).square().mean()

    assert verdict(sliced) is Status.PASS


def test_a_claimed_target_that_never_matters_contradicts_the_claim():
    assert verdict(lambda m, b: m(b["x"]).square().mean(), target="label") is Status.FAIL


def test_beside_another_target_the_label_may_be_for_the_evaluation():
    assert verdict(lambda m, b: functional.mse_loss(m(b["x"]), b["x"]), target="label") is Status.WARN
