"""LightningModules as people write them."""

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from gonogo.adapters import frameworks
from gonogo.checks.learning.dry_run import dry_run
from gonogo.checks.model.input_dependence import input_dependence
from gonogo.core.criterion import Status
from gonogo.errors import NotApplicable, SubjectError
from gonogo.testing.contract import answer
from gonogo.training.session import Session

pytestmark = pytest.mark.filterwarnings("ignore")  # the framework warns about itself
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import lightning.pytorch as pl
    from lightning.pytorch.callbacks import BackboneFinetuning, EarlyStopping


def rows(seed=0):
    x = torch.randn(32, 4, generator=torch.Generator().manual_seed(seed))
    return TensorDataset(x, (x[:, 0] > 0).long())


class OwnLoaders(pl.LightningModule):
    """Data made in setup, an average of the weights, warm-up by the Trainer's count of steps."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 2)

    def setup(self, stage):
        self.rows = rows()

    def train_dataloader(self):
        return DataLoader(self.rows, 8)

    def on_train_start(self):
        self.average = copy.deepcopy(self.net).requires_grad_(False)

    def training_step(self, batch, batch_idx):
        logits = self.net(batch[0])
        return {"loss": functional.cross_entropy(logits, batch[1]), "guesses": logits.argmax(1)}

    def on_train_batch_end(self, outputs, batch, batch_idx):
        assert outputs["guesses"].shape == batch[1].shape
        for kept, now in zip(self.average.parameters(), self.net.parameters(), strict=True):
            kept.lerp_(now, 0.5)

    def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure=None):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * (self.trainer.global_step + 1)
        optimizer.step(closure=optimizer_closure)

    def configure_optimizers(self):
        return torch.optim.SGD(self.net.parameters(), lr=0.1)


def test_a_module_with_its_own_data_gets_the_hooks_and_the_count_of_steps_that_lightning_gives():
    session = Session(frameworks.as_subject(OwnLoaders(), OwnLoaders, "module"))
    for batch in session.batches(limit=3):
        session.step(batch)
    assert session.optimizer.param_groups[0]["lr"] == pytest.approx(0.3)
    assert not torch.equal(session.model.average.weight, session.model.net.weight)


class Classifier(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 2)

    def training_step(self, batch, batch_idx):
        return functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("names", [("train", "val"), ("train_dataloader", "val_dataloader"), ("train_dl", "valid_dl")])
def test_loaders_are_known_by_their_names_whatever_their_order(names):
    def build():
        train, valid = DataLoader(rows(), 8), DataLoader(rows(1), 4)
        return {names[1]: valid, "model": Classifier(), names[0]: train}

    subject = frameworks.as_subject(build(), build, "run")
    assert [len(next(iter(subject.splits[name].batches()))[0]) for name in ("train", "valid")] == [8, 4]


def test_the_precision_of_the_trainer_is_a_claim():
    def build():
        quiet = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
        return Classifier(), DataLoader(rows(), 8), pl.Trainer(precision="bf16-mixed", **quiet)

    assert frameworks.as_subject(build(), build, "run").claims.precision == "bf16"


class Adversarial(pl.LightningModule):
    """Its forward is the generator's, which reads noise alone."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.critic = nn.Linear(3, 4), nn.Linear(4, 1)

    def forward(self, noise):
        return self.generator(noise)

    def training_step(self, batch, batch_idx):
        made, (one, other) = self(torch.randn(len(batch[0]), 3)), self.optimizers()
        for optimizer, loss in (
            (one, functional.softplus(-self.critic(made)).mean()),
            (other, functional.softplus(self.critic(made.detach()) - self.critic(batch[0])).mean()),
        ):
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.SGD(part.parameters(), lr=0.01) for part in (self.generator, self.critic)]


def test_a_generator_of_noise_is_not_blind_where_a_critic_reads_the_samples():
    def build():
        return Adversarial(), DataLoader(rows(), 8)

    assert answer(input_dependence.check, frameworks.as_subject(build(), build, "run")).status is Status.PASS


def lightning_run(module, **given):
    quiet = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
    return {"module": module, "train_loader": DataLoader(rows(), 8), "trainer": pl.Trainer(**quiet, **given)}


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        ({"max_epochs": 3}, 12),
        ({"max_epochs": 3, "accumulate_grad_batches": 3}, 6),
        ({"max_steps": 5}, 5),
        ({"max_epochs": 3, "callbacks": [EarlyStopping("loss")]}, None),
        ({}, None),
    ],
)
def test_the_length_of_the_run_is_claimed_where_the_trainer_plans_it(given, steps):
    def build():
        return lightning_run(Classifier(), **given)

    assert frameworks.as_subject(build(), build, "run").claims.total_steps == steps


def test_without_a_trainer_of_its_own_no_length_is_claimed():
    built = Classifier(), DataLoader(rows(), 8)
    assert frameworks.as_subject(built, lambda: built, "run").claims.total_steps is None


@pytest.mark.parametrize(("precision", "dtype"), [("bf16-true", torch.bfloat16), ("64-true", torch.float64)])
def test_weights_and_inputs_have_the_type_that_the_trainer_gives_them(precision, dtype):
    def build():
        return lightning_run(Classifier(), precision=precision)

    session = Session(frameworks.as_subject(build(), build, "run"))
    session.step(session.batches(limit=1)[0])
    assert session.model.net.weight.dtype is dtype


def session_of(kind):
    def build():
        return kind(), DataLoader(rows(), 8)

    return Session(frameworks.as_subject(build(), build, "run"))


class Forgetful(Classifier):
    def training_step(self, batch, batch_idx):
        super().training_step(batch, batch_idx)


class ByHand(Forgetful):
    automatic_optimization = False


class Unnamed(Classifier):
    def training_step(self, batch, batch_idx):
        return {"total": super().training_step(batch, batch_idx)}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Forgetful, r"training_step returned None; expected a loss tensor.*Is a `return loss` missing"),
        (ByHand, r"sent nothing backward; with automatic_optimization=False it must call manual_backward"),
        (Unnamed, r"returned a dict with total; expected a loss tensor, or a dict with 'loss'"),
    ],
)
def test_a_step_without_a_loss_is_said_in_words(kind, words):
    session = session_of(kind)
    with pytest.raises(SubjectError, match=words):
        session.loss(session.batches(limit=1)[0])


def test_a_batch_that_is_skipped_has_no_loss_to_measure():
    class Skips(Classifier):
        def training_step(self, batch, batch_idx):
            return None if torch.equal(batch[0], rows()[:8][0]) else super().training_step(batch, batch_idx)

    session = session_of(Skips)
    with pytest.raises(NotApplicable, match="skips this batch"):
        session.loss(session.batches(limit=1)[0])
    assert session.loss(session.batches(limit=2)[1]) > 0


class Talkative(Classifier):
    """Asks its Trainer and its logger for what they have in a run, and keeps what it needs at the end of an epoch."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def training_step(self, batch, batch_idx):
        self.logger.experiment.add_images("seen", batch[0], self.global_step)
        self.log("rate", self.optimizers().param_groups[0]["lr"])
        assert (self.trainer.training, bool(self.logger.log_dir)) == (True, True)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx, dataloader_idx):
        assert (self.trainer.validating, dataloader_idx) == (True, 0)
        self.kept.append(functional.cross_entropy(self.net(batch[0]), batch[1]))
        self.log("val_loss", self.kept[-1])

    def on_validation_epoch_end(self):
        self.log("spread", torch.stack(self.kept).std())
        self.log("last", self.trainer.callback_metrics["val_loss"])
        self.kept.clear()


@pytest.mark.parametrize("valid", [lambda one: [one, one], lambda one: {"a": one, "b": one}], ids=["list", "dict"])
def test_a_module_finds_around_it_what_it_has_in_a_run(valid):
    def build():
        return {"model": Talkative(), "train": DataLoader(rows(), 8), "val": valid(DataLoader(rows(1), 8))}

    subject = frameworks.as_subject(build(), build, "run")
    session = Session(subject)
    session.step(session.batches(limit=1)[0])
    assert {"val_loss", "spread", "last"} <= set(subject.evaluate(session.model, subject.splits["valid"].batches()))


def test_loaders_of_several_sources_give_their_batches_together():
    class Semi(Classifier):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch["labelled"], batch_idx) + self.net(batch["other"][0]).square().mean()

        def train_dataloader(self):
            return {"labelled": DataLoader(rows(), 8), "other": DataLoader(rows(1), 4)}

    session = Session(frameworks.as_subject(Semi(), Semi, "run"))
    assert len(session.loader("train")) == 8
    session.step(session.batches(limit=1)[0])


class Validated(Classifier):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", functional.cross_entropy(self.net(batch[0]), batch[1]))


@pytest.mark.parametrize("monitor", ["val_loss", "train_loss_epoch", "val_los"])
def test_a_metric_that_is_waited_for_and_never_logged_ends_the_dry_run(monitor):
    def build():
        return {
            **lightning_run(Validated(), max_epochs=2, callbacks=[EarlyStopping(monitor)]),
            "val": DataLoader(rows(), 8),
        }

    result = answer(dry_run.check, frameworks.as_subject(build(), build, "run"))
    assert result.status is (Status.FAIL if monitor == "val_los" else Status.PASS)
    if result.status is Status.FAIL:
        assert "EarlyStopping waits for the metric 'val_los', which nothing logs" in str(
            result.observation.tables[0].rows
        )


class Tuned(Classifier):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Linear(4, 4)

    def configure_optimizers(self):
        return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], lr=0.1)


def test_what_a_callback_freezes_before_training_is_frozen_when_the_optimizer_is_made():
    def build():
        return lightning_run(Tuned(), max_epochs=2, callbacks=[BackboneFinetuning()])

    session = Session(frameworks.as_subject(build(), build, "run"))
    held = [p for group in session.optimizer.param_groups for p in group["params"]]
    assert [p.requires_grad for p in session.model.backbone.parameters()] == [False, False]
    assert len(held) == len(list(session.model.net.parameters()))


class WithoutStep(pl.LightningModule):
    pass


class Plateau(Classifier):
    def configure_optimizers(self):
        optimizer = super().configure_optimizers()
        return [optimizer], [torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)]


class OfTheFirstVersion(Classifier):
    def validation_epoch_end(self, outputs):
        pass


class Indexed(Classifier):
    def training_step(self, batch, batch_idx, optimizer_idx):
        return super().training_step(batch, batch_idx)


class TwoOptimizers(Classifier):
    def configure_optimizers(self):
        return [super(TwoOptimizers, self).configure_optimizers() for _ in range(2)]


class Unscheduled(Classifier):
    def configure_optimizers(self):
        return {"optimizer": super().configure_optimizers(), "lr_scheduler": {"interval": "step"}}


@pytest.mark.parametrize(
    ("built", "words"),
    [
        (lambda: pl.LightningDataModule(), r"LightningDataModule, with 0 LightningModules; expected a LightningModule"),
        (lambda: (Classifier(), Classifier()), r"Classifier, Classifier, with 2 LightningModules"),
        (lambda: WithoutStep(), "WithoutStep has no training_step"),
        (lambda: (Plateau(), DataLoader(rows(), 8)), "ReduceLROnPlateau needs a monitor"),
        (
            lambda: (OfTheFirstVersion(), DataLoader(rows(), 8)),
            "refuses to train it: Support for `validation_epoch_end`",
        ),
        (lambda: (Indexed(), DataLoader(rows(), 8)), "Remove the `optimizer_idx` argument from `training_step`"),
        (lambda: (TwoOptimizers(), DataLoader(rows(), 8)), "multiple optimizers is only supported with manual"),
        (lambda: (Unscheduled(), DataLoader(rows(), 8)), r"a dict with interval; it needs 'scheduler'"),
    ],
)
def test_what_is_missing_is_said_in_words(built, words):
    with pytest.raises(SubjectError, match=words):
        frameworks.as_subject(built(), built, "run")
