import os

import pytest
import torch
from tests.reports.trackers import READERS
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gonogo.watch.live.log import read

pytestmark = pytest.mark.filterwarnings("ignore")  # of the frameworks' own imports and of tiny runs


def looks(folder):
    return [line for line in read(folder) if line["kind"] == "look"]


def findings(folder):
    return [line["finding"] for line in read(folder) if line["kind"] == "finding"]


def data():
    torch.manual_seed(0)
    inputs = torch.randn(128, 4)
    return TensorDataset(inputs, inputs.sum(1, keepdim=True))


def lightning_run(folder, epochs, spoil=lambda step: 1.0, checkpoint=None, **named):
    import lightning.pytorch as pl

    import gonogo.lightning

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(4, 1)

        def training_step(self, batch, index):
            return nn.functional.mse_loss(self.net(batch[0]), batch[1]) * spoil(self.global_step)

        def validation_step(self, batch, index):
            self.log("valid_loss", nn.functional.mse_loss(self.net(batch[0]), batch[1]))

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), 1e-2)

    torch.manual_seed(0)
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[gonogo.lightning.Watch(folder=folder, **named)],
    )
    loader = DataLoader(data(), 16, shuffle=True)
    trainer.fit(Module(), loader, DataLoader(data(), 64), ckpt_path=checkpoint, weights_only=False)
    return trainer


def test_lightning_is_logged_with_its_validation_and_nothing_is_raised(tmp_path):
    lightning_run(tmp_path, 3)
    assert sum(len(line["losses"]) for line in looks(tmp_path)) == 24
    assert [line["step"] for line in read(tmp_path) if "valid_loss" in line.get("values", ())] == [8, 16, 24]
    assert findings(tmp_path) == []


@pytest.mark.requirement("ARC-6.1")
def test_lightning_stops_at_nan(tmp_path):
    trainer = lightning_run(tmp_path, 3, lambda step: float("nan") if step >= 4 else 1.0)
    assert (trainer.global_step, findings(tmp_path)) == (5, ["nan"])


def test_lightning_goes_on_with_its_log_after_a_resume(tmp_path):
    trainer = lightning_run(tmp_path / "log", 2)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    lightning_run(tmp_path / "log", 4, checkpoint=tmp_path / "last.ckpt")
    steps = [line["step"] for line in looks(tmp_path / "log")]
    assert (steps[0], steps[-1], len(steps)) == (1, 32, len(set(steps)))
    assert sum(len(line["losses"]) for line in looks(tmp_path / "log")) == 32
    assert looks(tmp_path / "log")[-1]["epoch"] == 4


def test_lightning_is_told_which_batch_would_fit(tmp_path):
    def burst(step):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError) as raised:
        lightning_run(tmp_path, 1, burst)
    assert "try batch_size=8 with accumulate_grad_batches=2" in raised.value.__notes__[0]


class Regression(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 1)
        self.spoil = lambda: 1.0

    def forward(self, inputs, labels):
        answers = self.net(inputs)
        return {"loss": nn.functional.mse_loss(answers, labels) * self.spoil(), "logits": answers}


def trainer_run(folder, steps, spoil=lambda step: 1.0, **arguments):
    from transformers import Trainer, TrainingArguments

    import gonogo.transformers

    torch.manual_seed(0)
    model = Regression()
    samples = [{"inputs": a, "labels": b} for a, b in data()]
    given = {
        "output_dir": str(folder / "out"),
        "max_steps": steps,
        "per_device_train_batch_size": 16,
        "learning_rate": 1e-2,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        **arguments,
    }
    trainer = Trainer(model, TrainingArguments(**given), train_dataset=samples, eval_dataset=samples)
    model.spoil = lambda: spoil(trainer.state.global_step)
    gonogo.transformers.Watch(folder=folder / "log").attach(trainer)
    return trainer


def test_the_trainer_is_logged_with_its_evaluation_and_nothing_is_raised(tmp_path):
    trainer_run(tmp_path, 24, eval_strategy="epoch", gradient_accumulation_steps=2).train()
    assert sum(len(line["losses"]) for line in looks(tmp_path / "log")) == 24
    assert any("eval_loss" in line.get("values", ()) for line in read(tmp_path / "log"))
    assert looks(tmp_path / "log")[-1]["epoch"] in (5, 6)
    assert findings(tmp_path / "log") == []


@pytest.mark.requirement("ARC-6.1")
def test_the_trainer_stops_at_a_nan_that_its_own_log_hides(tmp_path):
    trainer = trainer_run(tmp_path, 24, lambda step: float("nan") if step == 3 else 1.0)
    trainer.train()
    assert (trainer.state.global_step, findings(tmp_path / "log")) == (4, ["nan"])


def test_the_trainer_goes_on_with_its_log_after_a_resume(tmp_path):
    trainer_run(tmp_path, 12, save_strategy="steps", save_steps=8).train()
    trainer_run(tmp_path, 24, save_strategy="steps", save_steps=8).train(resume_from_checkpoint=True)
    steps = [line["step"] for line in looks(tmp_path / "log")]
    assert (steps[0], steps[-1], len(steps)) == (1, 24, len(set(steps)))
    assert sum(len(line["losses"]) for line in looks(tmp_path / "log")) == 24


def test_the_trainer_is_told_which_batch_would_fit(tmp_path):
    def burst(step):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError) as raised:
        trainer_run(tmp_path, 3, burst).train()
    note = raised.value.__notes__[0]
    assert "try per_device_train_batch_size=8 with gradient_accumulation_steps=2" in note


@pytest.mark.requirement("ASTRO-5.2", "SAFE-14")
@pytest.mark.slow
def test_every_tracker_holds_the_values_of_the_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "WANDB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    lightning_run(tmp_path / "log", 3, trackers=tuple(READERS))
    logged = [(line["step"], line["values"]) for line in read(tmp_path / "log") if "values" in line]
    for name in ("loss", "gradient_norm", "learning_rate", "memory_host", "valid_loss"):
        told = [(step, pytest.approx(values[name], rel=1e-6)) for step, values in logged if name in values]
        assert told
        for tracker, reader in READERS.items():
            assert reader(tmp_path / ".gonogo")[0][f"gonogo/{name}"] == told, tracker
