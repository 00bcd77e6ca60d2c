import json
import math
import multiprocessing
import os
import random
import signal

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gonogo.errors import SubjectError
from gonogo.training.seeding import seed_all
from gonogo_recipes.common import checkpoint
from gonogo_recipes.common.fit import Data, fit
from gonogo_recipes.common.order import EpochOrder
from gonogo_recipes.common.schedule import warmup_cosine
from gonogo_recipes.common.step_log import lines
from gonogo_recipes.common.trainer import Trainer

SAMPLES, BATCH, EPOCHS = 44, 8, 3
STEPS = EPOCHS * math.ceil(SAMPLES / BATCH)


def a_trainer(identity=None, factor=1.0, value=None):
    seed_all(1)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

    def loss(model, batch):
        noise = random.random() + float(np.random.rand())  # all three generators matter
        total = factor * ((model(batch[0]) - batch[1]) ** 2).mean() + noise * model[0].weight.square().mean()
        return total, {"error": total}

    def metrics(model, batches):
        model.eval()
        with torch.no_grad():
            found = torch.stack([loss(model, batch)[0] for batch in batches]).mean()
        model.train()
        return {"loss": float(found) if value is None else value}

    scheduler = warmup_cosine(optimizer, STEPS, 3)
    return Trainer(model, optimizer, scheduler, loss, metrics, "loss", 1.0, identity or {"a.rate": 1e-2})


def some_data():
    inputs = torch.randn(SAMPLES, 4, generator=torch.Generator().manual_seed(0))
    dataset = TensorDataset(inputs, inputs.sum(1, keepdim=True))
    order = EpochOrder(SAMPLES, 0)
    train = DataLoader(dataset, BATCH, sampler=order)
    return Data(train, order, lambda: DataLoader(dataset, BATCH), BATCH, EPOCHS)


def trained(folder, **options):
    trainer = a_trainer()
    fit(trainer, some_data(), folder, **options)
    return trainer


def killed(folder, at, moment):
    """Train in a process that gets SIGKILL at that update: once it is logged, or amid the writing of its checkpoint."""

    def run():
        torch.set_num_threads(1)
        if moment == "saving":
            save = torch.save

            def torn(content, file):
                if content.get("steps") == at:
                    file.write(b"half of a checkpoint")
                    file.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
                save(content, file)

            torch.save = torn
        die = lambda line, end: line["step"] == at and moment == "step" and os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
        trained(folder, resume=True, listen=die)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr("gonogo_recipes.common.fit.EVERY", 4)


@pytest.mark.requirement("MAFT-3.5")
@pytest.mark.parametrize(
    ("at", "moment"), [(2, "step"), (5, "step"), (6, "saving"), (12, "saving"), (13, "step"), (STEPS, "saving")]
)
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, often, at, moment):
    unbroken = trained(tmp_path / "unbroken")
    killed(tmp_path / "killed", at, moment)
    resumed = trained(tmp_path / "killed", resume=True)
    for name, value in unbroken.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    ours, theirs = (str(one.optimizer.state_dict()) for one in (unbroken, resumed))
    assert ours == theirs
    assert unbroken.best.step == resumed.best.step


def test_the_log_of_a_killed_training_has_each_step_once_and_the_same_losses(tmp_path, often):
    trained(tmp_path / "unbroken")
    killed(tmp_path / "killed", 7, "step")
    killed(tmp_path / "killed", 15, "step")
    trained(tmp_path / "killed", resume=True)
    logs = [list(lines(tmp_path / name / "log.jsonl")) for name in ("unbroken", "killed")]
    assert [line["step"] for line in logs[1] if "loss" in line] == list(range(1, STEPS + 1))
    timeless = [[{k: v for k, v in line.items() if k not in ("seconds", "memory")} for line in log] for log in logs]
    assert timeless[0] == timeless[1]


def test_stopping_at_a_step_and_resuming_changes_nothing(tmp_path):
    unbroken = trained(tmp_path / "unbroken")
    assert trained(tmp_path / "parts", max_steps=4).steps == 4
    resumed = trained(tmp_path / "parts", resume=True)
    assert all(torch.equal(a, b) for a, b in zip(unbroken.model.parameters(), resumed.model.parameters(), strict=True))


def test_a_folder_with_a_training_is_not_overwritten(tmp_path):
    trained(tmp_path, max_steps=1)
    with pytest.raises(SubjectError, match="--resume"):
        trained(tmp_path)


def test_a_training_is_not_resumed_with_other_settings(tmp_path):
    trained(tmp_path, max_steps=1)
    with pytest.raises(SubjectError, match=r"a\.rate was 0\.01 .* is 0\.02 now"):
        fit(a_trainer({"a.rate": 2e-2}), some_data(), tmp_path, resume=True)


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(SubjectError, match=r"checkpoint\.pt: not a checkpoint that can be read"):
        trained(tmp_path, resume=True)


class Intruder:
    def __reduce__(self):
        return (os.system, ("touch intruded",))


def test_a_foreign_checkpoint_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"steps": Intruder()}, tmp_path / "checkpoint.pt")
    with pytest.raises(SubjectError, match="not a checkpoint"):
        checkpoint.read(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "intruded").exists()


def test_a_loss_that_diverges_stops_training_before_it_reaches_the_checkpoint(tmp_path):
    with pytest.raises(SubjectError, match="update 1: the loss or its gradient is not finite"):
        fit(a_trainer(factor=math.inf), some_data(), tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()
    assert json.loads((tmp_path / "log.jsonl").read_text())["loss"] is None


def test_a_run_in_which_nothing_ever_improves_is_saved(tmp_path):
    trainer = a_trainer(value=math.nan)
    fit(trainer, some_data(), tmp_path)
    kept = checkpoint.read(tmp_path / "best.pt")
    assert torch.equal(kept["weights"]["0.weight"], trainer.model[0].weight)


def test_the_best_weights_are_a_copy(tmp_path):
    trainer = trained(tmp_path, max_steps=6)
    before = {name: value.clone() for name, value in trainer.best.weights.items()}
    trainer.metrics = lambda model, batches: {"loss": math.inf}
    fit(trainer, some_data(), tmp_path, resume=True)
    assert all(torch.equal(value, before[name]) for name, value in trainer.best.weights.items())


def test_the_clipped_gradient_has_the_norm_that_was_asked_for(tmp_path):
    trainer = a_trainer(factor=100.0)
    trainer.step(trainer.model, trainer.optimizer, next(iter(some_data().train)))
    assert trainer.last["gradient_norm"] > 1
    norm = torch.cat([p.grad.flatten() for p in trainer.model.parameters()]).norm()
    assert float(norm) == pytest.approx(1.0, rel=1e-4)
