"""Checkpoints of dict programs: odd but right ones are not accused, one wrong line is found."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from gonogo.adapters.plain import from_parts
from gonogo.core.catalogue import discover
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer

CHECKS = {check.id: check for check in discover()}
ALL = ("checkpoint-keys", "resume", "best-weights")


class Run:
    """A run with everything; tests override one method."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1))
        self.optimizer: Any = torch.optim.Adam(self.model.parameters(), lr=1e-2)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, 0.5)
        self.kept: Any = None

    def loss(self, model, batch):
        return nn.functional.mse_loss(model(batch[0]).squeeze(-1), batch[1])

    def step(self, model, optimizer, batch):
        model.train()
        optimizer.zero_grad()
        loss = self.loss(model, batch)
        loss.backward()
        optimizer.step()
        self.scheduler.step()
        return loss.item()

    @torch.no_grad()
    def evaluate(self, model, loader):
        model.eval()
        value = sum(self.loss(model, batch).item() for batch in loader)
        self.kept = self.keep(model)
        model.train()
        return {"loss": value}

    def keep(self, model):
        return copy.deepcopy(model.state_dict())

    def state(self):
        parts = {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler}
        return {name: part.state_dict() for name, part in parts.items()}

    def save(self, path):
        torch.save(self.state(), path)

    def load(self, path):
        state = torch.load(path, weights_only=True)
        for name in state:
            getattr(self, name).load_state_dict(state[name])

    def parts(self):
        data = torch.Generator().manual_seed(1)
        batches = [(x, x.sin().sum(-1)) for x in torch.randn(6, 16, 5, generator=data)]
        names = ("model", "optimizer", "scheduler", "loss", "step", "evaluate", "save", "load")
        found = {name: getattr(self, name) for name in names}
        return found | {"train_loader": batches, "valid_loader": batches[:2], "best": lambda: self.kept}


def ask(name, run, **claims):
    def build():
        return run().parts() | {"claims": claims}

    return answer(CHECKS[f"reproducibility.{name}"], from_parts(build(), build, "program"))


def accused(run, **claims):
    results = [ask(name, run, **claims) for name in ALL]
    return [f"{result.id}: {result.reason}" for result in results if result.status >= Status.FAIL]


class OnlyWeights(Run):
    def state(self):
        return {"model": self.model.state_dict()}


class CounterOnly(Run):
    """The schedule is found again from the number of steps."""

    def state(self):
        return {**super().state(), "scheduler": self.scheduler.last_epoch}

    def load(self, path):
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.last_epoch = state["scheduler"]


class BestOnly(Run):
    def save(self, path):
        self.evaluate(self.model, [])
        self.kept = {name: (0.5 * value).to(value.dtype) for name, value in self.kept.items()}
        torch.save({"model": self.kept}, path)


class Momentumless(Run):
    def __init__(self):
        super().__init__()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-2)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, 0.5)


class Shaken(Run):
    """Draws random numbers in training and claims nothing."""

    def step(self, model, optimizer, batch):
        return super().step(model, optimizer, (batch[0] + 0.01 * torch.randn_like(batch[0]), batch[1]))


class KeptByStep(Run):
    def step(self, model, optimizer, batch):
        value = super().step(model, optimizer, batch)
        self.kept = copy.deepcopy(model)
        return value


class NothingKept(Run):
    def keep(self, model):
        return None


class Half(Run):
    def state(self):
        return {"model": {name: value.bfloat16() for name, value in self.model.state_dict().items()}}


@pytest.mark.parametrize(
    "run", [Run, OnlyWeights, CounterOnly, BestOnly, Momentumless, Shaken, KeptByStep, NothingKept, Half]
)
def test_odd_but_right_checkpoints_are_not_accused(run):
    assert not accused(run)


@pytest.mark.parametrize("run", [Run, CounterOnly, Momentumless])
def test_what_claims_to_resume_exactly_and_does_is_not_accused(run):
    assert not accused(run, resume="exact")


def test_weights_alone_are_no_exact_resume():
    assert ask("resume", OnlyWeights, resume="exact").status is Status.FAIL


def test_random_numbers_that_do_not_go_on_are_no_exact_resume():
    assert ask("resume", Shaken, resume="exact").status is Status.FAIL


class OptimizerNotLoaded(Run):
    def load(self, path):
        self.model.load_state_dict(torch.load(path, weights_only=True)["model"])


class ScheduleLeftOut(Run):
    def state(self):
        state = super().state()
        del state["scheduler"]
        for group in state["optimizer"]["param_groups"]:
            group["lr"] = 1e-2
        return state


@pytest.mark.parametrize("run", [OptimizerNotLoaded, ScheduleLeftOut])
def test_an_optimizer_or_schedule_that_does_not_come_back_is_found_without_a_claim(run):
    assert ask("resume", run).status is Status.FAIL


class StatisticsLeftOut(Run):
    def state(self):
        state = super().state()
        names = {name for name, _ in self.model.named_parameters()}
        return {**state, "model": {name: value for name, value in state["model"].items() if name in names}}

    def load(self, path):
        self.model.load_state_dict(torch.load(path, weights_only=True)["model"], strict=False)


def test_statistics_of_a_norm_that_are_left_out_are_found():
    assert ask("checkpoint-keys", StatisticsLeftOut).status is Status.FAIL


def test_a_file_that_does_not_fit_is_found():
    class Misfit(Run):
        def state(self):
            return {"model": {f"module.{name}": value for name, value in self.model.state_dict().items()}}

    assert ask("checkpoint-keys", Misfit).status is Status.FAIL


class ByReference(Run):
    def keep(self, model):
        return model.state_dict()


class Shallow(Run):
    def keep(self, model):
        return {"epoch": 1, "weights": dict(model.state_dict())}


@pytest.mark.parametrize("run", [ByReference, Shallow])
def test_best_weights_without_a_copy_are_found(run):
    assert ask("best-weights", run).status is Status.FAIL


class Accumulating(Run):
    """Updates at every third call, and says so nowhere."""

    calls = 0

    def step(self, model, optimizer, batch):
        loss = self.loss(model, batch)
        (loss / 3).backward()
        self.calls += 1
        if self.calls % 3 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()


def test_a_window_of_accumulation_that_nobody_claims_is_not_cut_by_the_checkpoint():
    assert ask("checkpoint-roundtrip", Accumulating).status is Status.PASS
