"""Lightning and the plain loop are the same training."""

import warnings

import pytest
import torch

from gonogo_recipes.common.fit import fit
from gonogo_recipes.maft.data import datasets
from gonogo_recipes.maft.settings import load
from gonogo_recipes.maft.train import build_data, build_trainer

with warnings.catch_warnings():  # of the libraries that Lightning imports
    warnings.simplefilter("ignore")
    lightning = pytest.importorskip("lightning")
    from gonogo_recipes.maft.lightning_module import LitMaft, MaftData

SETTINGS = load(
    {"size": "tiny"}, {"data.samples": 48, "data.valid_samples": 16, "data.test_samples": 16, "training.epochs": 2}
)


class Losses(lightning.Callback):
    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.seen.append(float(outputs["loss"]))


@pytest.fixture
def by_lightning(tmp_path):
    """Losses and module after a training by Lightning."""
    losses = Losses()
    lightning.seed_everything(SETTINGS.training.seed, verbose=False)
    module = LitMaft(SETTINGS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning advises workers, and more of them
        trainer = lightning.Trainer(
            max_epochs=SETTINGS.training.epochs,
            gradient_clip_val=SETTINGS.training.max_norm,
            callbacks=[losses],
            accelerator="cpu",
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        trainer.fit(module, MaftData(SETTINGS))
    return losses.seen, module, trainer


@pytest.mark.requirement("MAFT-3.3")
def test_losses_and_weights_are_those_of_the_plain_loop(by_lightning, tmp_path):
    lightning.seed_everything(SETTINGS.training.seed, verbose=False)
    data = build_data(SETTINGS, datasets(SETTINGS.data))
    trainer = build_trainer(SETTINGS, data.steps)
    seen = []
    fit(trainer, data, tmp_path / "plain", listen=lambda line, end: seen.append(line.get("loss")))
    losses, module, _ = by_lightning
    assert losses == pytest.approx([loss for loss in seen if loss is not None], rel=1e-6)
    for name, value in trainer.model.state_dict().items():
        other = module.model.state_dict()[name]
        if name.endswith("project.bias"):  # that of keys has no gradient but rounding, which Adam makes a step of
            (query, _, values), (others_query, _, others_values) = value.chunk(3), other.chunk(3)
            value, other = torch.cat([query, values]), torch.cat([others_query, others_values])
        torch.testing.assert_close(other, value, rtol=1e-5, atol=1e-6)


def test_validation_is_logged_and_the_rate_ends_at_zero(by_lightning):
    _, _, trainer = by_lightning
    assert {"valid/loss", "valid/accuracy", "valid/mae"} <= trainer.callback_metrics.keys()
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)
