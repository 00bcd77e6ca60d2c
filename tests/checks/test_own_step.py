"""Checks that run the run's own step: odd but right steps are not accused, one wrong line is found."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from gonogo.adapters.plain import from_parts
from gonogo.core.catalogue import discover
from gonogo.core.criterion import Status
from gonogo.core.report import Result
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

CHECKS = {check.id: check for check in discover()}


def loss_of(model: nn.Module, batch: Any) -> torch.Tensor:
    return nn.functional.mse_loss(model(batch[0]).squeeze(-1), batch[1])


def program(
    make_step: Callable[..., Any],
    *,
    make_optimizer: Callable[..., Any] = lambda model: torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
    make_model: Callable[[], nn.Module] = lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1)),
    extra: Callable[..., dict[str, Any]] = lambda model, optimizer: {},
    loss: Callable[..., torch.Tensor] = loss_of,
    **claims: Any,
) -> Subject:
    """A regression; `make_step(model, optimizer, extra)` gives the step of one build."""

    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        model = make_model()
        optimizer = make_optimizer(model)
        data = torch.Generator().manual_seed(1)
        x = torch.randn(6, 16, 5, generator=data)
        more = extra(model, optimizer)
        return {
            "model": model,
            "optimizer": optimizer,
            "loss": loss,
            "step": make_step(model, optimizer, more),
            "train_loader": [(batch, batch.sin().sum(-1)) for batch in x],
            "claims": claims,
            **more,
        }

    return from_parts(build(), build, "program")


def ask(check: str, subject: Subject) -> Result:
    return answer(CHECKS[check], subject)


def accused(subject: Subject, *checks: str) -> list[str]:
    """Checks that fail or crash on the subject."""
    results = [ask(check, subject) for check in checks]
    return [f"{result.id}: {result.reason}" for result in results if result.status >= Status.FAIL]


ALL = (
    "gradient.carried-over",
    "gradient.accumulation",
    "gradient.clip-order",
    "optimizer.steps",
    "learning.step-parity",
)


def backward(model, batch, scale=1.0):
    loss = loss_of(model, batch)
    (loss * scale).backward()
    return loss.item()


def cleared_at_the_end(model, optimizer, extra):
    def step(model, optimizer, batch):
        value = backward(model, batch)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        return value

    return step


def chunks_inside(model, optimizer, extra, scale=0.25):
    def step(model, optimizer, batch):
        optimizer.zero_grad()
        values = [backward(model, part, scale) for part in zip(*(each.chunk(4) for each in batch), strict=True)]
        optimizer.step()
        return sum(values) / 4

    return step


def loss_scaled_by_the_rows(model, optimizer, extra):
    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = backward(model, batch, len(batch[0]))
        optimizer.step()
        return value

    return step


def sharpness_aware(model, optimizer, extra):
    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = backward(model, batch)
        shifts = [0.05 * p.grad / (1e-12 + p.grad.norm()) for p in model.parameters()]
        with torch.no_grad():
            for p, shift in zip(model.parameters(), shifts, strict=True):
                p.add_(shift)
        optimizer.zero_grad()
        backward(model, batch)
        with torch.no_grad():
            for p, shift in zip(model.parameters(), shifts, strict=True):
                p.sub_(shift)
        optimizer.step()
        return value

    return step


def averaged_gradients(model, optimizer, extra):
    kept = {}

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = backward(model, batch)
        for name, p in model.named_parameters():
            kept[name] = 0.9 * kept.get(name, 0.0) + 0.1 * p.grad.detach().clone()
            p.grad.add_(2.0 * kept[name])
        optimizer.step()
        return value

    return step


def noisy(model, optimizer, extra):
    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = backward(model, batch)
        for p in model.parameters():
            p.grad.add_(0.3 * torch.randn_like(p))
        optimizer.step()
        return value

    return step


def unseeded_noise(model, optimizer, extra):
    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = backward(model, batch)
        generator = torch.Generator()
        generator.seed()
        for p in model.parameters():
            p.grad.add_(0.3 * torch.randn(p.shape, generator=generator))
        optimizer.step()
        return value

    return step


def several_updates_per_batch(model, optimizer, extra):
    def step(model, optimizer, batch):
        for part in zip(*(each.chunk(4) for each in batch), strict=True):
            optimizer.zero_grad()
            value = backward(model, part)
            optimizer.step()
        return value

    return step


def spike_skipping(model, optimizer, extra):
    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = backward(model, batch)
        if nn.utils.clip_grad_norm_(model.parameters(), 1.0) < 100:
            optimizer.step()
        return value

    return step


def by_value(model, optimizer, extra):
    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = backward(model, batch)
        nn.utils.clip_grad_value_(model.parameters(), 0.1)
        optimizer.step()
        return value

    return step


def zeroth_order(model, optimizer, extra):
    @torch.no_grad()
    def step(model, optimizer, batch):
        shifts = [torch.randn_like(p) for p in model.parameters()]
        values = []
        for sign in (1.0, -2.0):
            for p, shift in zip(model.parameters(), shifts, strict=True):
                p.add_(sign * 1e-3 * shift)
            values.append(loss_of(model, batch).item())
        slope = (values[0] - values[1]) / 2e-3
        for p, shift in zip(model.parameters(), shifts, strict=True):
            p.add_(1e-3 * shift - 0.01 * slope * shift)
        return values[0]

    return step


ODD = [
    cleared_at_the_end,
    chunks_inside,
    loss_scaled_by_the_rows,
    sharpness_aware,
    averaged_gradients,
    noisy,
    unseeded_noise,
    several_updates_per_batch,
    spike_skipping,
    by_value,
    zeroth_order,
]


@pytest.mark.parametrize("step", ODD)
def test_odd_but_right_steps_are_not_accused(step):
    assert not accused(program(step), *ALL)


def test_a_closure_is_not_accused():
    def make(model, optimizer, extra):
        def step(model, optimizer, batch):
            def closure():
                optimizer.zero_grad()
                loss = loss_of(model, batch)
                loss.backward()
                return loss

            return optimizer.step(closure).item()

        return step

    assert not accused(program(make, make_optimizer=lambda model: torch.optim.LBFGS(model.parameters())), *ALL)


def test_maximising_minus_the_loss_is_not_accused():
    def make(model, optimizer, extra):
        def step(model, optimizer, batch):
            optimizer.zero_grad()
            value = backward(model, batch, -1.0)
            optimizer.step()
            return value

        return step

    up = program(make, make_optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.1, maximize=True))
    assert not accused(up, *ALL)


def test_a_warm_up_from_zero_is_not_accused():
    def scheduler(model, optimizer):
        return {"scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(step / 100, 1.0))}

    def make(model, optimizer, extra):
        def step(model, optimizer, batch):
            optimizer.zero_grad()
            value = backward(model, batch)
            optimizer.step()
            extra["scheduler"].step()
            return value

        return step

    assert not accused(program(make, extra=scheduler), *ALL)


def test_a_discriminator_that_starts_late_is_not_accused():
    def two(model):
        return tuple(torch.optim.SGD(part.parameters(), lr=0.1) for part in (model[0], model[2]))

    def make(model, optimizer, extra):
        calls = []

        def step(model, optimizers, batch):
            calls.append(1)
            for one in optimizers:
                one.zero_grad()
            value = backward(model, batch)
            optimizers[0].step()
            if len(calls) > 100:
                optimizers[1].step()
            return value

        return step

    assert not accused(program(make, make_optimizer=two), *ALL)


def test_an_optimizer_with_a_window_of_its_own_is_not_accused():
    def two(model):
        return tuple(torch.optim.SGD(part.parameters(), lr=0.1) for part in (model[0], model[2]))

    def make(model, optimizer, extra):
        calls = [0]

        def step(model, optimizers, batch):
            value = backward(model, batch)
            calls[0] += 1
            for one, every in zip(optimizers, (1, 4), strict=True):
                if calls[0] % every == 0:
                    one.step()
                    one.zero_grad()
            return value

        return step

    assert not accused(program(make, make_optimizer=two), *ALL)


def scaled_and_clipped(order):
    def extra(model, optimizer):
        return {"scaler": torch.amp.GradScaler("cpu", init_scale=2.0**12)}

    def make(model, optimizer, extra):
        scaler = extra["scaler"]

        def step(model, optimizer, batch):
            optimizer.zero_grad()
            loss = loss_of(model, batch)
            scaler.scale(loss).backward()
            if order == "right":
                scaler.unscale_(optimizer)
            if order != "never":
                nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            scaler.step(optimizer)
            scaler.update()
            return loss.item()

        return step

    return program(make, extra=extra)


@pytest.mark.parametrize("order", ["right", "never"])
def test_a_loss_scaler_is_not_accused(order):
    assert not accused(scaled_and_clipped(order), *ALL)


def test_clipping_before_unscaling_is_found_without_any_claim():
    assert ask("gradient.clip-order", scaled_and_clipped("wrong")).status is Status.FAIL


def test_a_scaler_that_skips_every_step_is_found():
    def extra(model, optimizer):
        return {"scaler": torch.amp.GradScaler("cpu")}

    def make(model, optimizer, extra):
        def step(model, optimizer, batch):
            optimizer.zero_grad()
            loss = loss_of(model, batch)
            extra["scaler"].scale(loss * float("inf")).backward()
            extra["scaler"].step(optimizer)
            extra["scaler"].update()
            return loss.item()

        return step

    assert ask("optimizer.steps", program(make, extra=extra)).status is Status.FAIL


def test_chunks_that_are_not_divided_are_found():
    def make(model, optimizer, extra):
        return chunks_inside(model, optimizer, extra, scale=1.0)

    assert ask("gradient.accumulation", program(make)).status is Status.FAIL


def windows(length, scale, clear_each=False):
    def make(model, optimizer, extra):
        calls = [0]

        def step(model, optimizer, batch):
            if clear_each:
                optimizer.zero_grad()
            value = backward(model, batch, scale)
            calls[0] += 1
            if calls[0] % length == 0:
                optimizer.step()
                optimizer.zero_grad()
            return value

        return step

    return make


@pytest.mark.parametrize("declared", [{}, {"accumulation": 4}])
def test_an_accumulation_window_is_not_accused(declared):
    assert not accused(program(windows(4, 0.25), **declared), *ALL)


def test_gradients_that_are_cleared_at_each_micro_batch_are_found():
    assert (
        ask("gradient.accumulation", program(windows(4, 0.25, clear_each=True), accumulation=4)).status is Status.FAIL
    )


def test_classes_with_weights_do_not_make_an_accumulation_wrong():
    def weighted(model, batch):
        weight = 1.0 + 9.0 * (batch[1] > 0)
        return (weight * (model(batch[0]).squeeze(-1) - batch[1]) ** 2).sum() / weight.sum()

    def make(model, optimizer, extra):
        calls = [0]

        def step(model, optimizer, batch):
            loss = weighted(model, batch)
            (loss / 2).backward()
            calls[0] += 1
            if calls[0] % 2 == 0:
                optimizer.step()
                optimizer.zero_grad()
            return loss.item()

        return step

    assert not accused(program(make, loss=weighted, accumulation=2), *ALL)


# Schedules


def scheduled(make_scheduler, per_update=1, **claims):
    def extra(model, optimizer):
        return {"scheduler": make_scheduler(optimizer)}

    def make(model, optimizer, extra):
        def step(model, optimizer, batch):
            optimizer.zero_grad()
            value = backward(model, batch)
            optimizer.step()
            for _ in range(per_update):
                extra["scheduler"].step()
            return value

        return step

    return program(make, extra=extra, **claims)


cosine = torch.optim.lr_scheduler.CosineAnnealingLR


def test_a_cosine_that_ends_where_it_was_claimed_passes():
    run = scheduled(lambda optimizer: cosine(optimizer, 60), total_steps=60, final_lr=0.0)
    assert ask("optimizer.schedule", run).status is Status.PASS


def test_a_schedule_per_epoch_is_not_accused():
    run = scheduled(lambda optimizer: cosine(optimizer, 10), per_update=0, total_steps=60, final_lr=0.0)
    assert ask("optimizer.schedule", run).status is Status.PASS  # six updates per epoch, ten epochs


def test_a_schedule_per_epoch_that_moves_with_every_update_is_found():
    run = scheduled(lambda optimizer: cosine(optimizer, 7), total_steps=60, final_lr=0.0)
    assert ask("optimizer.schedule", run).status is Status.FAIL


def test_a_schedule_that_nothing_moves_is_found():
    run = scheduled(lambda optimizer: cosine(optimizer, 60), per_update=0, total_steps=60, final_lr=0.0)
    assert ask("optimizer.schedule", run).status is Status.FAIL


def test_a_cycle_that_is_too_short_is_found():
    def one_cycle(optimizer):
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=30)

    assert ask("optimizer.schedule", scheduled(one_cycle, total_steps=60, final_lr=0.0)).status is Status.FAIL


@pytest.mark.parametrize(
    "make_scheduler",
    [
        lambda optimizer: torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer),
        lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 10),
        lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer, 0.1, 5),
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=61),
    ],
)
def test_other_schedules_are_not_accused(make_scheduler):
    plateau = "Plateau" in type(make_scheduler(torch.optim.SGD([torch.zeros(1)], 0.1))).__name__
    run = scheduled(make_scheduler, per_update=0 if plateau else 1, total_steps=60)
    assert not accused(run, "optimizer.schedule")


@pytest.mark.parametrize("window", [2, 3, 4])
def test_a_schedule_that_moves_with_every_micro_batch_is_found(window):
    def extra(model, optimizer):
        return {"scheduler": cosine(optimizer, 60)}

    def make(model, optimizer, extra):
        calls = [0]

        def step(model, optimizer, batch):
            value = backward(model, batch, 1 / window)
            calls[0] += 1
            if calls[0] % window == 0:
                optimizer.step()
                optimizer.zero_grad()
            extra["scheduler"].step()
            return value

        return step

    run = program(make, extra=extra, accumulation=window, total_steps=60, final_lr=0.0)
    assert ask("optimizer.schedule", run).status is Status.FAIL


# Tokens


def tokens(share, dropout=0.0):
    """A window of two over texts of unequal lengths; `share(tokens of the micro-batch)` multiplies its summed loss."""

    def summed(model, batch):
        logits = model(batch[0])
        return nn.functional.cross_entropy(logits.flatten(0, 1), batch[1].flatten(), reduction="sum")

    def mean(model, batch):
        return summed(model, batch) / (batch[1] != -100).sum()

    def build():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(9, 6), nn.Dropout(dropout), nn.Linear(6, 9))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        counted = [0, 0]

        def step(model, optimizer, batch):
            count = int((batch[1] != -100).sum())
            loss = summed(model, batch)
            (loss * share(count)).backward()
            counted[0], counted[1] = counted[0] + 1, counted[1] + count
            if counted[0] % 2 == 0:
                for parameter in model.parameters() if share(count) == 1.0 else []:
                    parameter.grad /= counted[1]
                optimizer.step()
                optimizer.zero_grad()
                counted[1] = 0
            return float(loss.detach()) / count

        data = torch.Generator().manual_seed(1)
        lengths = torch.arange(16) % 7 + 2
        batches = []
        for x in torch.randint(9, (4, 16, 8), generator=data):
            batches.append((x, x.roll(-1, 1).masked_fill(torch.arange(8) >= lengths[:, None], -100)))
        parts = {"model": model, "optimizer": optimizer, "loss": mean, "step": step, "train_loader": batches}
        return parts | {"claims": {"accumulation": 2}}

    return from_parts(build(), build, "tokens")


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_one_division_by_all_tokens_of_a_window_is_not_accused(dropout):
    assert not accused(tokens(lambda count: 1.0, dropout), *ALL)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_mean_of_unequal_means_is_found(dropout):
    assert ask("gradient.accumulation", tokens(lambda count: 0.5 / count, dropout)).status is Status.FAIL
