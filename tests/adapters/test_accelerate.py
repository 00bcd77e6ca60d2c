"""A loop of Accelerate, handed over as the dict of its parts."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gonogo.adapters.plain import as_subject
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.instruments.step.schedules import pace
from gonogo.training.session import Session

accelerate = pytest.importorskip("accelerate")


def loop():
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    model = nn.Linear(3, 1)
    rows = DataLoader(TensorDataset(torch.ones(8, 3)), 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    model, optimizer, rows, schedule = accelerator.prepare(model, optimizer, rows, schedule)

    def loss(model, batch):
        return model(batch[0]).square().mean()

    def step(model, optimizer, batch):
        with accelerator.accumulate(model):
            value = loss(model, batch)
            accelerator.backward(value)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        return value.item()

    parts = {"model": model, "optimizer": optimizer, "scheduler": schedule, "train_loader": rows}
    return {**parts, "loss": loss, "step": step, "claims": {"accumulation": 2}}


@pytest.mark.filterwarnings("ignore")
def test_the_steps_of_a_prepared_optimizer_are_seen_once_for_each_window():
    session = Session(as_subject(loop(), loop, "loop"))
    own = OwnSteps(session)
    for batch in session.batches(limit=2) * 2:
        own.call(batch)
    assert [update.call for update in own.updates] == [1, 3]


@pytest.mark.filterwarnings("ignore")
def test_a_prepared_schedule_moves_once_for_each_update():
    assert pace(Session(as_subject(loop(), loop, "loop"))).steps == 1
