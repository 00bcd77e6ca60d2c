"""The defects of the origin (M-1 to M-6, M-8), put back into the recipe in a few lines: each is named by its check."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR

from gonogo.core.catalogue import load_index
from gonogo.core.criterion import Status
from gonogo.core.report import Result
from gonogo.errors import SubjectError
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject
from gonogo_recipes.maft.fusion import ModalityDropout, independent_rate
from gonogo_recipes.maft.losses import compute_loss
from gonogo_recipes.maft.settings import load
from gonogo_recipes.maft.subject import build

SMALL: dict[str, Any] = {"size": "tiny", "data.samples": 64, "data.valid_samples": 32, "data.test_samples": 32}
SETTINGS = load({"size": "tiny"})
Loss = Callable[[nn.Module, Any], Tensor]


def said(check: str, subject: Subject) -> Result:
    [found] = [one for one in load_index() if one.id == check]
    return answer(found, subject)


def with_loss(loss: Loss) -> Subject:
    """The recipe trained by the textbook step on another loss."""
    return replace(build(**SMALL), loss=loss, step=None, with_config=None)


def original(model: nn.Module, batch: Any) -> Tensor:
    return compute_loss(SETTINGS, model(batch), batch)[0]


def made_in_the_loss(model: nn.Module, batch: Any) -> Tensor:
    """M-1: the reconstruction term makes its layer anew at every call."""
    outputs = model(batch)
    width = outputs["target"].shape[-1]
    rebuilt = functional.mse_loss(nn.Linear(width, width)(outputs["reconstruction"]), outputs["target"].detach())
    return compute_loss(SETTINGS, outputs, batch)[0] + rebuilt


def logarithm_of_softmax(model: nn.Module, batch: Any) -> Tensor:
    """M-2: the divergence between streams takes the logarithm of a softmax."""
    outputs = model(batch)
    text, audio = outputs["logits_text"].softmax(-1), outputs["logits_audio"].softmax(-1)
    return compute_loss(SETTINGS, outputs, batch)[0] + functional.kl_div(audio.log(), text, reduction="batchmean")


@pytest.mark.requirement("MAFT-8.1")
def test_m1_layers_made_in_the_loss_are_no_go():
    result = said("model.late-parameters", with_loss(made_in_the_loss))
    assert result.status is Status.FAIL
    assert "born_in_loss is 2" in result.reason
    assert said("model.late-parameters", with_loss(original)).status is Status.PASS


@pytest.mark.requirement("MAFT-2.5")
def test_m2_a_logarithm_of_a_softmax_warns():
    assert said("loss.extreme-values", with_loss(logarithm_of_softmax)).status is Status.WARN
    assert said("loss.extreme-values", with_loss(original)).status is Status.PASS


def overwriting(rate: float) -> Subject:
    """M-3: a schedule of its own sets the rate of modality dropout, whatever is configured."""
    subject = build(None, **{**SMALL, "model.modality_dropout": rate})

    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        for module in model.modules():
            if isinstance(module, ModalityDropout):
                module.rate, module.independent = 0.35, independent_rate(0.35)
        return subject._given("step")(model, optimizer, batch)

    return replace(subject, step=step)


def configured(of: Callable[[float], Subject]) -> Subject:
    """One key of the configuration is asked; all would take a minute."""
    key = "modality_dropout"
    return replace(of(0.1), config={"model": {key: 0.1}}, with_config=lambda config: of(config["model"][key]))


@pytest.mark.slow
@pytest.mark.requirement("MAFT-2.3")
def test_m3_a_rate_that_a_schedule_overwrites_is_no_go_as_a_dead_key():
    assert said("config.dead-keys", configured(overwriting)).status is Status.FAIL
    right = configured(lambda rate: build(None, **{**SMALL, "model.modality_dropout": rate}))
    assert said("config.dead-keys", right).status is Status.PASS


@pytest.mark.requirement("MAFT-4.3")
def test_m4_a_rate_of_zero_is_legal_only_where_nothing_is_to_learn():
    with pytest.raises(SubjectError, match="freeze_text"):
        load({"size": "tiny"}, {"training.text_learning_rate": 0.0})
    assert load({"size": "tiny"}, {"training.text_learning_rate": 0.0, "model.freeze_text": True})


@pytest.mark.requirement("MAFT-8.1")
def test_m5_a_projection_that_nothing_uses_is_no_go_by_name():
    def change(model: nn.Module) -> nn.Module:
        model.text_proj = nn.Linear(300, 16)
        return model

    result = said("model.unused-parameters", with_loss(original).map_model(change))
    assert result.status is Status.FAIL
    assert result.observation is not None
    assert [row[0] for row in result.observation.tables[0].rows] == ["text_proj.weight", "text_proj.bias"]


@pytest.mark.requirement("MAFT-3.5")
def test_m6_a_schedule_of_no_length_is_no_go():
    subject = build(**SMALL)

    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        loss = subject._given("step")(model, optimizer, batch)
        CosineAnnealingLR(optimizer, T_max=3 - 3).step()  # epochs less warm-up
        return loss

    result = said("learning.dry-run", replace(subject, step=step))
    assert result.status is Status.FAIL
    assert result.observation is not None
    assert "ZeroDivisionError" in str(result.observation.tables[0].rows[0])


@pytest.mark.requirement("MAFT-3.5")
def test_m6_a_checkpoint_that_only_a_better_epoch_makes_is_no_go():
    def save(path: Any, model: nn.Module, optimizer: Any) -> None:
        better = False  # no epoch was, yet
        if better:
            checkpoint = model.state_dict()
        torch.save(checkpoint, path)  # pyright: ignore[reportPossiblyUnboundVariable]

    result = said("learning.dry-run", replace(build(**SMALL), save=save))
    assert result.status is Status.FAIL
    assert result.observation is not None
    assert result.observation.tables[0].rows[0][0] == "save"


@pytest.mark.requirement("MAFT-1.8")
def test_m8_infinite_features_are_no_go_and_not_cleaned():
    def broken(loader: Any) -> Any:
        return [{**batch, "audio": batch["audio"].index_fill(-1, torch.tensor(3), -torch.inf)} for batch in loader]

    subject = build(**SMALL).map_split("train", lambda split: split.map(broken))
    assert said("data.missing-values", subject).status is Status.FAIL
    assert said("data.missing-values", build(**SMALL)).status is Status.PASS


def towards_what_is_not_there(model: nn.Module, batch: Any) -> Tensor:
    """M7 of the research: the divergence between streams does not ask which of them are there."""
    outputs = model(batch)
    logs = [outputs[f"logits_{stream}"].log_softmax(-1) for stream in ("text", "audio", "visual")]
    apart = [functional.kl_div(one, two, log_target=True, reduction="batchmean") for one in logs for two in logs]
    return compute_loss(SETTINGS, outputs, batch)[0] + torch.stack(apart).mean()


@pytest.mark.requirement("MAFT-2.5")
def test_m7_a_consistency_with_absent_streams_is_no_go():
    assert said("modality.absent-answers", build(**SMALL)).status is Status.PASS
    assert said("modality.absent-answers", with_loss(towards_what_is_not_there)).status is Status.FAIL
