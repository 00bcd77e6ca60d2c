"""What the origin did wrong with its streams: found in its architecture, and put into MAFT one at a time."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gonogo.checks.modality.combinations import combinations
from gonogo.checks.modality.dropout_rate import dropout_rate
from gonogo.checks.modality.masked_content import masked_content
from gonogo.checks.modality.padding import padding
from gonogo.checks.modality.use import use
from gonogo.checks.model.mask_polarity import mask_polarity
from gonogo.core.criterion import Status
from gonogo.core.report import Result
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject
from gonogo_recipes.maft.batch import STREAMS, Batch, mask_key
from gonogo_recipes.maft.fusion import ModalityDropout
from gonogo_recipes.maft.subject import build

STEP = (masked_content, padding, combinations, dropout_rate, mask_polarity)


def of(check: Any, subject: Subject) -> Result:
    return answer(check.check, subject)


def hooked(hook: Callable[..., Any], **settings: Any) -> Subject:
    """MAFT whose batches go through `hook` before the model sees them."""

    def change(model: nn.Module) -> nn.Module:
        model.register_forward_pre_hook(lambda _, given: (hook(dict(given[0])),))
        return model

    return build(**settings).map_model(change)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["transformer", "lstm"])
@pytest.mark.parametrize("check", STEP, ids=lambda check: check.check.id)
@pytest.mark.requirement("MAFT-2.1", "MAFT-2.2", "MAFT-2.3")
def test_maft_passes_with_both_encoders(check: Any, encoder: str) -> None:
    result = of(check, build(**{"model.encoder": encoder}))
    assert result.status is Status.PASS, result.reason


@pytest.mark.slow
@pytest.mark.requirement("MAFT-2.3")
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5])
def test_streams_are_dropped_at_the_configured_rate(rate: float) -> None:
    result = of(dropout_rate, build(**{"model.modality_dropout": rate}))
    assert result.status is (Status.PASS if rate else Status.SKIP), result.reason


@pytest.mark.slow
@pytest.mark.requirement("MAFT-6.2")
def test_every_stream_of_maft_may_move_the_loss() -> None:
    assert of(use, build()).status is Status.PASS


@pytest.mark.requirement("MAFT-2.2")
def test_positions_through_the_concatenation_of_the_origin_are_found() -> None:  # M1, M-7
    result = of(padding, build(**{"model.variant": "legacy"}))
    assert result.status is Status.FAIL
    assert {row[0] for row in result.observation.tables[0].rows if row[3] > 1e-3} == set(STREAMS)


@pytest.mark.requirement("MAFT-2.1")
def test_unpacked_layers_and_nan_of_a_missing_stream_of_the_origin_are_found() -> None:  # M2, M4
    result = of(masked_content, build(**{"model.variant": "legacy"}))
    assert result.status is Status.FAIL
    table = {row[0]: row for row in result.observation.tables[0].rows}
    assert table["audio"][1] > 1e-3
    assert table["visual"][1] > 1e-3
    assert "nan" in table["audio"][2]


@pytest.mark.slow
@pytest.mark.requirement("MAFT-2.3")
def test_samples_of_the_origin_that_lose_every_stream_are_found() -> None:  # M6
    result = of(dropout_rate, build(**{"model.variant": "legacy"}))
    assert result.status is Status.FAIL
    assert "all_dropped" in result.reason


@pytest.mark.slow
@pytest.mark.requirement("MAFT-2.3")
def test_independent_draws_are_found_in_maft_itself() -> None:  # M6
    def change(model: nn.Module) -> nn.Module:
        for name, module in list(model.named_children()):
            if isinstance(module, ModalityDropout):
                setattr(model, name, Independent(0.1))
        return model

    assert "all_dropped" in of(dropout_rate, build().map_model(change)).reason


class Independent(nn.Module):
    """Drops each modality, whatever becomes of the others."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.modality_dropout = rate

    def forward(self, given: Tensor) -> Tensor:
        return given & (torch.rand(given.shape) >= self.modality_dropout) if self.training else given


@pytest.mark.requirement("MAFT-2.1")
def test_masks_that_the_model_takes_for_padding_are_found() -> None:  # M5
    def turned(batch: Batch) -> Batch:
        return batch | {mask_key(stream): ~batch[mask_key(stream)] for stream in STREAMS}

    result = of(mask_polarity, hooked(turned))
    assert result.status is Status.FAIL
    assert "inverted is " in result.reason


@pytest.mark.requirement("MAFT-2.2")
def test_an_absent_stream_that_is_read_all_the_same_is_found() -> None:
    def read(batch: Batch) -> Batch:
        masks = {mask_key(stream): batch[mask_key(stream)] for stream in STREAMS}
        return batch | {key: mask | ~mask.any(1, keepdim=True) for key, mask in masks.items()}

    assert "leaking" in of(combinations, hooked(read)).reason


@pytest.mark.slow
@pytest.mark.requirement("MAFT-6.2")
def test_a_stream_at_a_scale_that_nothing_hears_is_a_warning() -> None:
    result = of(use, hooked(lambda batch: batch | {"audio": 1e-9 * batch["audio"]}))
    assert result.status is Status.WARN
