"""One run written three ways: plain torch, Lightning and Trainer measure the same."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

from gonogo.adapters import frameworks
from gonogo.checks.gradient.vanishing_exploding import vanishing_exploding
from gonogo.checks.model.initial_loss import initial_loss
from gonogo.testing.contract import answer
from gonogo.training.session import Session

pytestmark = pytest.mark.filterwarnings("ignore")  # the frameworks warn about themselves
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import lightning.pytorch as pl
    from transformers import Trainer, TrainingArguments

ROWS, CLASSES, LR, NORM = 64, 4, 1e-2, 0.5


def samples():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, 6, generator=generator)
    return [{"x": row, "labels": label} for row, label in zip(x, x[:, :CLASSES].argmax(1), strict=True)]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, CLASSES))

    def forward(self, x, labels=None):
        logits = self.layers(x)
        return logits if labels is None else {"loss": functional.cross_entropy(logits, labels), "logits": logits}


def loaders():
    return DataLoader(samples(), 16), DataLoader(samples()[:32], 16)


def plain():
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), LR, weight_decay=0.0)
    train, valid = loaders()

    def loss(model, batch):
        return functional.cross_entropy(model(batch["x"]), batch["labels"])

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), NORM)
        optimizer.step()
        return float(value)

    @torch.no_grad()
    def evaluate(model, loader):
        model.eval()
        found = [float(loss(model, batch)) for batch in loader]
        model.train()
        return {"loss": sum(found) / len(found)}

    parts = {"model": model, "optimizer": optimizer, "loss": loss, "step": step, "evaluate": evaluate}
    return {**parts, "train_loader": train, "valid_loader": valid, "claims": {"max_norm": NORM}}


class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = Net()

    def training_step(self, batch, batch_idx):
        return functional.cross_entropy(self.net(batch["x"]), batch["labels"])

    def validation_step(self, batch, batch_idx):
        self.log("loss", functional.cross_entropy(self.net(batch["x"]), batch["labels"]))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), LR, weight_decay=0.0)


def lightning():
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", gradient_clip_val=NORM, **quiet)
    return {
        "module": Module(),
        "trainer": trainer,
        **dict(zip(("train_loader", "valid_loader"), loaders(), strict=True)),
    }


class Straight(Trainer):
    def get_train_dataloader(self):
        return DataLoader(self.train_dataset, 16)


def trainer(tmp_path):
    arguments = TrainingArguments(
        str(tmp_path),
        per_device_train_batch_size=16,
        per_device_eval_batch_size=16,
        learning_rate=LR,
        lr_scheduler_type="constant",
        max_grad_norm=NORM,
        optim="adamw_torch",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    return Straight(Net(), arguments, train_dataset=samples(), eval_dataset=samples()[:32])


@pytest.fixture
def three(tmp_path):
    builds = {"plain": plain, "lightning": lightning, "trainer": lambda: trainer(tmp_path)}
    return {name: frameworks.as_subject(build(), build, name) for name, build in builds.items()}


def same(values):
    first, *others = values
    return all(other == pytest.approx(first, rel=1e-6) for other in others)


def test_the_loss_of_the_first_batch_is_the_same(three):
    sessions = [Session(subject) for subject in three.values()]
    assert same([float(one.loss(one.batches(limit=1)[0]).detach()) for one in sessions])


def test_steps_with_clipping_lead_to_the_same_weights(three):
    norms = []
    for subject in three.values():
        session = Session(subject)
        for batch in session.batches(limit=3):
            session.step(batch)
        norms.append([float(p.detach().norm()) for p in session.model.parameters()])
    assert same(norms)


def test_evaluation_reports_the_same_loss(three):
    found = []
    for subject in three.values():
        session = Session(subject)
        scores = subject.evaluate(session.model, subject.splits["valid"].batches())
        found.append(next(value for name, value in scores.items() if name in ("loss", "eval_loss")))
    assert same(found)


@pytest.mark.parametrize("check", [initial_loss, vanishing_exploding], ids=lambda check: check.check.id)
def test_checks_measure_the_same(three, check):
    found = [answer(check.check, subject) for subject in three.values()]
    measured = [{k: m.value for k, m in one.observation.measurements.items()} for one in found]
    assert len({one.status for one in found}) == 1
    assert same(measured)


def test_what_the_arguments_state_becomes_claims(three):
    assert {subject.claims.max_norm for subject in three.values()} == {NORM}


def test_a_checkpoint_gives_back_weights_and_optimizer(three, tmp_path):
    for name, subject in three.items():
        if subject.save is None:
            continue
        session = Session(subject)
        session.step(session.batches(limit=1)[0])
        session.save(session.model, session.optimizer, tmp_path)
        model, optimizer = session.load(tmp_path / "checkpoint.pt")
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), session.model.parameters(), strict=True)), name
        assert optimizer.state_dict()["state"].keys() == session.optimizer.state_dict()["state"].keys()
