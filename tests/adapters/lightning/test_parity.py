"""What the adapter does step by step is what Trainer.fit does: the weights after an epoch are the same."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from gonogo.adapters import frameworks
from gonogo.instruments.step.own_steps import OwnSteps
from gonogo.training.session import Session

pytestmark = pytest.mark.filterwarnings("ignore")  # the framework warns about itself
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import lightning.pytorch as pl


def loader():
    x = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    return DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), 8)


def trainer(**given):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return pl.Trainer(**{"max_epochs": 2, "accelerator": "cpu", "enable_model_summary": False, **quiet, **given})


class Skipping(pl.LightningModule):
    """Skips every third batch; momentum and a rate per epoch show a step too many."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 2)

    def training_step(self, batch, batch_idx):
        loss = functional.cross_entropy(self.net(batch[0]), batch[1])
        return None if batch_idx % 3 == 1 else {"loss": loss}

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]


class Adversaries(pl.LightningModule):
    """Gradients are cleared after each step: what a critic's toggling does not keep out is in its next update."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.made, *self.critics = nn.Linear(3, 4), nn.Linear(4, 1), nn.Linear(4, 1)
        self.one, self.two = self.critics

    def training_step(self, batch, batch_idx):
        ours, *theirs = self.optimizers()
        made = self.made(batch[0][:, :3])
        with ours.toggle_model():
            self.manual_backward(sum(functional.softplus(-critic(made)).mean() for critic in self.critics))
            self.clip_gradients(ours, gradient_clip_val=0.1, gradient_clip_algorithm="norm")
            ours.step()
            ours.zero_grad()
        for optimizer, critic in zip(theirs, self.critics, strict=True):
            self.toggle_optimizer(optimizer)
            functional.softplus(critic(made.detach()) - critic(batch[0])).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            self.untoggle_optimizer(optimizer)
        self.log("rate", self.trainer.optimizers[0].param_groups[0]["lr"])
        if self.trainer.is_last_batch:
            for schedule in self.lr_schedulers():
                schedule.step()

    def configure_optimizers(self):
        optimizers = [torch.optim.SGD(part.parameters(), lr=0.5) for part in (self.made, self.one, self.two)]
        return optimizers, [torch.optim.lr_scheduler.ExponentialLR(one, 0.5) for one in optimizers]


class ByEpoch(Skipping):
    """Updates once in two batches by hand, steps its schedule at the epoch's end, annealed by the Trainer's counts."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        optimizer, share = self.optimizers(), self.global_step / self.trainer.num_training_batches
        loss = functional.cross_entropy(self.net(batch[0]), batch[1])
        self.manual_backward(loss * (1 + share))
        if batch_idx % 2:
            optimizer.step(closure=lambda: self.manual_backward(self.net.weight.square().sum()))
            optimizer.zero_grad()

    def on_train_epoch_end(self):
        self.lr_schedulers().step()


@pytest.mark.parametrize("kind", [Skipping, Adversaries, ByEpoch])
def test_two_epochs_of_steps_lead_to_the_weights_of_fit(kind):
    start = kind()
    fitted = copy.deepcopy(start)
    trainer().fit(fitted, loader())

    def build():
        return {"module": copy.deepcopy(start), "train_loader": loader(), "trainer": trainer()}

    session = Session(frameworks.as_subject(build(), build, "run"))
    for batch in session.batches(limit=4) * 2:
        session.step(batch)
    for ours, theirs in zip(session.model.parameters(), fitted.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-7)
    assert not all(torch.equal(a, b) for a, b in zip(start.parameters(), fitted.parameters(), strict=True))


@pytest.mark.parametrize("kind", [Adversaries, ByEpoch])
def test_asking_for_the_loss_alone_changes_nothing(kind):
    session = Session(frameworks.as_subject((kind(), loader()), lambda: (kind(), loader()), "run"))
    before = copy.deepcopy(session.model.state_dict())
    session.loss(session.batches(limit=2)[1])
    assert all(torch.equal(value, before[name]) for name, value in session.model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in session.model.parameters())


def test_gradients_of_steps_by_hand_are_seen_by_who_listens_to_the_optimizer():
    own = OwnSteps(Session(frameworks.as_subject((Adversaries(), loader()), lambda: (Adversaries(), loader()), "run")))
    updates = own.call(own.session.batches(limit=1)[0])
    assert [(update.optimizer, update.closure) for update in updates] == [(0, False), (1, False), (2, False)]
