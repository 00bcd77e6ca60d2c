"""Configurations that name code: Hydra's and LightningCLI's."""

from pathlib import Path

import pytest
import torch

from gonogo.adapters.locate import locate
from gonogo.errors import SubjectError
from gonogo.training.session import Session

pytestmark = pytest.mark.filterwarnings("ignore")  # the frameworks warn about themselves

CODE = """
import lightning.pytorch as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

class Net(pl.LightningModule):
    def __init__(self, width=8, lr=0.01, optimizer=None):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 1))
        self.lr, self.optimizer = lr, optimizer
    def training_step(self, batch, batch_idx):
        return (self.layers(batch[0]) - batch[1]).square().mean()
    def configure_optimizers(self):
        if self.optimizer is not None:
            return self.optimizer(self.parameters())
        return torch.optim.SGD(self.parameters(), self.lr)

class Rows(pl.LightningDataModule):
    def __init__(self, batch_size=8):
        super().__init__()
        self.batch_size = batch_size
    def train_dataloader(self):
        x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), self.batch_size)
"""
HYDRA = """
defaults: [{model: wide}, _self_]
lr: 5e-3
data: {_target_: written.Rows, batch_size: 16}
trainer: {_target_: lightning.Trainer, max_epochs: 2, accelerator: gpu, devices: 8, gradient_clip_val: 0.5}
"""
WIDE = """
_target_: written.Net
width: 32
optimizer: {_target_: torch.optim.Adam, _partial_: true, lr: "${lr}"}
"""
CLI = """
seed_everything: 7
trainer: {max_epochs: 2, accelerator: gpu, accumulate_grad_batches: 2, precision: bf16-mixed, callbacks: null}
model: {class_path: written.Net, init_args: {width: 16}}
data: {class_path: written.Rows}
optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 1e-4}}
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "written.py").write_text(CODE)
    (tmp_path / "config.yaml").write_text(HYDRA)
    (tmp_path / "cli.yaml").write_text(CLI)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "wide.yaml").write_text(WIDE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "written", raising=False)


def session(text, **overrides):
    return Session(locate(text, overrides))


def test_a_hydra_configuration_is_composed_and_what_it_names_is_built():
    one = session("config.yaml")
    assert one.model.layers[0].out_features == 32
    assert one.batches(limit=1)[0][0].shape == (16, 4)
    assert isinstance(one.optimizer, torch.optim.Adam)
    assert one.optimizer.param_groups[0]["lr"] == 5e-3


def test_overrides_reach_what_refers_to_them():
    assert session("config.yaml", lr=0.25).optimizer.param_groups[0]["lr"] == 0.25


def test_of_the_trainer_what_shapes_learning_is_kept_and_its_devices_are_not():
    claims = session("config.yaml").claims
    assert (claims.max_norm, claims.total_steps) == (0.5, 8)


STOP = "_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: val_los"


@pytest.mark.parametrize(
    ("callbacks", "waited"),
    [
        (f"callbacks: {{stop: {{{STOP}}}, none: null}}", ["val_los"]),
        (f"callbacks: {{stop: {{{STOP}}}, own: {{_target_: written.Logs}}}}", []),  # which may log it
        ("callbacks: {stop: {_target_: lightning.pytorch.callbacks.ModelCheckpoint, monitor: '${lr}'}}", []),
    ],
)
def test_callbacks_of_a_configuration_wait_for_their_metrics(tmp_path, callbacks, waited):
    (tmp_path / "config.yaml").write_text(f"{HYDRA}{callbacks}\n")
    found = [getattr(one, "monitor", None) for one in session("config.yaml").model.trainer.callbacks]
    assert [one for one in found if one] == waited


def test_callbacks_of_a_lightning_cli_file_have_short_names(tmp_path):
    listed = "[{class_path: EarlyStopping, init_args: {monitor: val_los}}]"
    (tmp_path / "cli.yaml").write_text(CLI.replace("callbacks: null", f"callbacks: {listed}"))
    assert "val_los" in [getattr(one, "monitor", None) for one in session("cli.yaml").model.trainer.callbacks]


def test_another_configuration_is_built_with_what_refers_to_the_change():
    subject = locate("config.yaml", {})
    other = subject.with_config({**subject.config, "lr": 0.125})
    assert Session(other).optimizer.param_groups[0]["lr"] == 0.125


def test_a_lightning_cli_file_is_read_with_its_optimizer():
    one = session("cli.yaml", **{"model.init_args.width": 24})
    assert one.model.layers[0].out_features == 24
    assert isinstance(one.optimizer, torch.optim.AdamW)
    assert one.claims.accumulation == 2
    assert one.claims.precision == "bf16"


def test_an_optimizer_among_the_arguments_of_a_lightning_cli_file_waits_for_its_parameters(tmp_path):
    inner = "{width: 16, optimizer: {class_path: torch.optim.RMSprop, init_args: {lr: 0.5}}}"
    (tmp_path / "cli.yaml").write_text(
        f"model: {{class_path: written.Net, init_args: {inner}}}\ndata: {{class_path: written.Rows}}\n"
    )
    assert isinstance(session("cli.yaml").optimizer, torch.optim.RMSprop)


def test_a_lightning_cli_file_may_hold_its_commands_short_names_and_keywords_that_are_not_checked():
    text = CLI.replace("torch.optim.AdamW", "AdamW").replace("Rows}", "Rows, dict_kwargs: {batch_size: 4}}")
    Path("all.yaml").write_text("fit:" + text.replace("\n", "\n  "))
    one = session("all.yaml")
    assert isinstance(one.optimizer, torch.optim.AdamW)
    assert one.batches(limit=1)[0][0].shape == (4, 4)


def test_what_a_lightning_cli_has_made_is_taken():
    pytest.importorskip("jsonargparse")
    arguments = 'args=["--trainer.max_epochs", "3", "--model.width", str(width)]'
    made = f"return LightningCLI(Net, Rows, run=False, save_config_callback=None, {arguments})"
    code = f"{CODE}\nfrom lightning.pytorch.cli import LightningCLI\ndef build(width=16):\n    {made}\n"
    Path("made.py").write_text(code)
    one = session("made.py:build", width=24)
    assert one.model.layers[0].out_features == 24
    assert one.claims.total_steps == 24


@pytest.mark.parametrize("hidden", ["seed_everything", "trainer.accelerator", "trainer.callbacks"])
def test_what_belongs_to_the_launch_is_no_configuration_of_the_run(hidden):
    config = locate("cli.yaml", {}).config
    head, _, rest = hidden.partition(".")
    assert head not in config or rest not in config[head]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"model.widht": 3}, "Could not override 'model.widht'.* Did you mean 'model.width'"),
        ({"+model.widht": 3}, r"unexpected keyword argument 'widht'.*It takes: width, lr.* Did you mean 'width'"),
        ({"model.width": "???"}, r"missing: model.width. Add model.width=\.\.\. to the command"),
        ({"model": "narrow"}, "Hydra cannot compose it"),
        ({"model._target_": "written.Nte"}, "Did you mean 'Net'"),
        ({"data.batch_size": -1}, "batch_size"),
    ],
)
def test_mistakes_are_said_in_words(overrides, words):
    with pytest.raises(SubjectError, match=words):
        session("config.yaml", **overrides)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"model.class_path": "Net"}, r"without its module was found; expected package.module.Net"),
        ({"trainer.max_epochs": "many"}, r"trainer.max_epochs: str 'many' was found; expected a whole number"),
        ({"trainer.precision": "bf17"}, r"cli.yaml: trainer: ValueError: Precision 'bf17' is invalid"),
        ({"optimizer.init_args.rl": 1}, r"optimizer: torch.optim.AdamW raised TypeError.* Did you mean 'lr'"),
    ],
)
def test_mistakes_in_a_lightning_cli_file_are_said_in_words(overrides, words):
    with pytest.raises(SubjectError, match=words):
        session("cli.yaml", **overrides)


def test_a_file_that_names_no_code_says_what_it_lacks(tmp_path):
    (tmp_path / "plain.yaml").write_text("model: {width: 3}\n")
    with pytest.raises(SubjectError, match=r"no _target_ \(Hydra\) or class_path \(LightningCLI\)"):
        locate("plain.yaml", {})


def test_what_hydra_knows_only_of_a_running_job_is_known_here_too(tmp_path):
    (tmp_path / "config.yaml").write_text(HYDRA + 'out: "${hydra:runtime.output_dir}/${now:%Y}"\n')
    assert session("config.yaml").model.layers[0].out_features == 32


def test_sections_that_nothing_built_refers_to_are_the_launch_s(tmp_path):
    (tmp_path / "config.yaml").write_text(
        HYDRA + "callbacks: {_target_: other.Callback, dirpath: /nowhere}\ntags: [x]\n"
    )
    assert set(locate("config.yaml", {}).config) == {"lr", "data", "model", "trainer"}


def test_the_root_of_a_project_is_found_as_rootutils_finds_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PROJECT_ROOT", "")  # so that it is taken away at the end
    monkeypatch.delenv("PROJECT_ROOT")
    (tmp_path / ".project-root").touch()
    (tmp_path / "conf").mkdir()
    written = HYDRA.replace("{model: wide}, ", "").replace("batch_size: 16", 'batch_size: "${root.size}"')
    written += 'model: {_target_: written.Net}\nroot: {size: 16, folder: "${oc.env:PROJECT_ROOT}"}\n'
    (tmp_path / "conf" / "config.yaml").write_text(written)
    assert locate("conf/config.yaml", {}).config["root"]["folder"] == str(tmp_path)


def test_a_variable_that_is_not_set_is_asked_for_only_where_it_is_needed(tmp_path):
    unset = '"${oc.env:NOT_SET_ANYWHERE}"'
    (tmp_path / "config.yaml").write_text(HYDRA + f"logger: {{project: {unset}}}\n")
    assert session("config.yaml").batches(limit=1)[0][0].shape == (16, 4)
    (tmp_path / "config.yaml").write_text(HYDRA.replace("batch_size: 16", f"batch_size: {unset}"))
    with pytest.raises(SubjectError, match=r"'NOT_SET_ANYWHERE' not found.*NAME=value gonogo run"):
        session("config.yaml")
