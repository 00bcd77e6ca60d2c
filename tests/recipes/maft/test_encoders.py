from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gonogo_recipes.maft.batch import STREAMS, Batch, stream_of
from gonogo_recipes.maft.encoders import StreamEncoder
from gonogo_recipes.maft.layers import Attention, TimeCode, key_bias, pooled, with_any_key
from gonogo_recipes.maft.settings import Settings

LSTM_AND_TRANSFORMER = pytest.mark.parametrize("encoder", ["transformer", "lstm"])


def encoder_of(settings: Settings, stream: str, encoder: str) -> StreamEncoder:
    torch.manual_seed(0)
    model = settings.model.model_copy(update={"encoder": encoder, "num_layers": 2})
    width = {"text": 0, "audio": model.audio_dim, "visual": model.visual_dim}[stream]
    return StreamEncoder(stream, width, model).double().eval()


def encoded(encoder: StreamEncoder, batch: Batch, stream: str) -> Tensor:
    """Tokens, zeros where nothing is valid."""
    given = stream_of(batch, stream)
    code = TimeCode(encoder.modality.shape[0]).double()(torch.where(given.mask, given.time, 0))
    bias = key_bias(given.mask, given.quality, 1.0, torch.float64)
    return torch.where(given.mask.unsqueeze(-1), encoder(given, code, bias), 0)


@LSTM_AND_TRANSFORMER
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("length", [1, 2, 17, 64])
@pytest.mark.requirement("MAFT-2.1")
def test_an_encoder_gives_a_token_for_each_step(
    settings: Settings, make_batch: Callable[..., Batch], encoder: str, stream: str, length: int
) -> None:
    batch = make_batch(settings.model, length=length)
    tokens = encoded(encoder_of(settings, stream, encoder), batch, stream)
    assert tokens.shape == (4, length, settings.model.hidden_dim)
    assert torch.isfinite(tokens).all()


@LSTM_AND_TRANSFORMER
@pytest.mark.parametrize("stream", ["audio", "visual"])
@pytest.mark.parametrize("poison", [torch.nan, torch.inf, 1e4])
@pytest.mark.requirement("MAFT-2.1")
def test_what_stands_in_the_padding_changes_no_bit(
    settings: Settings, batch: Batch, encoder: str, stream: str, poison: float
) -> None:
    model = encoder_of(settings, stream, encoder)
    mask = batch[f"{stream}_mask"]
    poisoned = {
        **batch,
        stream: torch.where(mask.unsqueeze(-1), batch[stream], poison),
        f"{stream}_time": torch.where(mask, batch[f"{stream}_time"], poison),
    }
    assert torch.equal(encoded(model, batch, stream), encoded(model, poisoned, stream))


@LSTM_AND_TRANSFORMER
def test_padding_on_the_left_gives_the_same_tokens(settings: Settings, batch: Batch, encoder: str) -> None:
    model = encoder_of(settings, "audio", encoder)
    keys = ("audio", "audio_mask", "audio_time")
    left = {**batch, **{key: batch[key].flip(1) for key in keys}}
    # The steps of each sample in their old order, behind the padding.
    for row, valid in enumerate(batch["audio_mask"].sum(1)):
        for key in keys:
            left[key][row, -valid:] = batch[key][row, :valid]
    right, shifted = encoded(model, batch, "audio"), encoded(model, left, "audio")
    for row, valid in enumerate(batch["audio_mask"].sum(1)):
        torch.testing.assert_close(shifted[row, -valid:], right[row, :valid], atol=1e-12, rtol=0)


@LSTM_AND_TRANSFORMER
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.requirement("MAFT-2.1")
def test_gradients_flow_to_every_part_of_an_encoder(
    settings: Settings, batch: Batch, encoder: str, stream: str
) -> None:
    model = encoder_of(settings, stream, encoder)
    tokens = encoded(model, batch, stream)
    (tokens * torch.randn_like(tokens)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


@pytest.mark.requirement("MAFT-2.1")
def test_no_gradient_flows_into_the_padding(settings: Settings, batch: Batch) -> None:
    audio = batch["audio"].clone().requires_grad_()
    tokens = encoded(encoder_of(settings, "audio", "lstm"), {**batch, "audio": audio}, "audio")
    (tokens * torch.randn_like(tokens)).sum().backward()
    assert audio.grad is not None
    assert torch.equal(audio.grad.abs().sum(-1) > 0, batch["audio_mask"])


def test_an_lstm_does_not_start_in_the_padding(settings: Settings, batch: Batch) -> None:
    model = encoder_of(settings, "audio", "lstm")
    valid = int(batch["audio_mask"][1].sum())
    alone = {key: batch[key][1:2, :valid] for key in ("audio", "audio_mask", "audio_time")}
    assert valid < batch["audio"].shape[1]
    torch.testing.assert_close(
        encoded(model, batch, "audio")[1, :valid], encoded(model, alone, "audio")[0], atol=1e-12, rtol=0
    )


def test_content_of_the_wrong_width_is_refused_in_words(settings: Settings, batch: Batch) -> None:
    with pytest.raises(ValueError, match=r"audio: .*\[4, 7, 5\] was found, features \[4, 7, 74\] was expected"):
        encoded(encoder_of(settings, "audio", "lstm"), {**batch, "audio": batch["audio"][..., :5]}, "audio")


def test_features_where_token_ids_belong_are_refused_in_words(settings: Settings, batch: Batch) -> None:
    with pytest.raises(ValueError, match=r"text: torch.float64 .* was found, token ids \[4, 7\] was expected"):
        encoded(encoder_of(settings, "text", "lstm"), {**batch, "text": batch["text"].double()}, "text")


def test_steps_at_the_same_time_have_the_same_code_wherever_they_are_stored() -> None:
    code = TimeCode(16).double()(torch.tensor([[0.0, 0.5, 1.0], [0.5, 0.5, 0.25]], dtype=torch.float64))
    assert torch.equal(code[0, 1], code[1, 0])
    assert torch.equal(code[0, 1], code[1, 1])


def test_neighbouring_steps_are_told_apart_by_their_codes() -> None:
    # A reference model could not learn to align with a ratio of 0.30, and could with 0.77.
    code = TimeCode(32)(torch.linspace(0, 1, 24).unsqueeze(0))[0]
    distances = torch.cdist(code, code)
    assert distances.diagonal(1).min() / distances.max() >= 0.5


def test_quality_one_is_the_same_bits_as_no_quality() -> None:
    mask = torch.tensor([[True, True, False]])
    assert torch.equal(key_bias(mask, torch.ones(1, 3), 2.0, torch.float32), key_bias(mask, None, 2.0, torch.float32))


@pytest.mark.parametrize("anything", [0.0, torch.nan, -1.0, torch.inf])
def test_quality_of_padding_may_be_anything(anything: float) -> None:
    quality = torch.tensor([[0.5, 0.5, anything]], requires_grad=True)
    bias = key_bias(torch.tensor([[True, True, False]]), quality, 1.0, torch.float32)
    bias.exp().sum().backward()
    assert bias[0, 2] == -torch.inf
    assert quality.grad is not None
    assert torch.isfinite(quality.grad).all()


def test_a_key_of_quality_zero_counts_as_little_as_a_masked_one() -> None:
    quality = torch.tensor([[1.0, 1.0, 0.0]], dtype=torch.float64)
    every = key_bias(torch.ones(1, 3, dtype=torch.bool), quality, 1.0, torch.float64)
    masked = key_bias(torch.tensor([[True, True, False]]), None, 1.0, torch.float64)
    torch.testing.assert_close(every.softmax(-1), masked.softmax(-1), atol=1e-100, rtol=0)


def test_attention_without_any_key_stays_finite_forwards_and_backwards() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, requires_grad=True)
    bias = torch.tensor([[0.0, 0.0, -torch.inf], [-torch.inf] * 3])
    Attention(8, 2, 0.0)(x, with_any_key(bias)).sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_the_pooled_mean_is_over_the_valid_steps_and_zero_without_any() -> None:
    x = torch.randn(2, 3, 8, dtype=torch.float64)
    bias = torch.tensor([[0.0, 0.0, -torch.inf], [-torch.inf] * 3], dtype=torch.float64)
    torch.testing.assert_close(pooled(x, bias), torch.stack([x[0, :2].mean(0), torch.zeros(8, dtype=torch.float64)]))


def test_attention_is_the_softmax_of_scores_and_bias() -> None:
    torch.manual_seed(0)
    attention, x = Attention(8, 2, 0.0).double(), torch.randn(1, 3, 8, dtype=torch.float64)
    bias = torch.tensor([[0.0, -1.0, -torch.inf]], dtype=torch.float64)
    query, key, value = attention.project(x).view(3, 3, 2, 4).permute(1, 2, 0, 3)
    weights = (query @ key.mT / 2 + bias).softmax(-1)
    expected = attention.out((weights @ value).transpose(0, 1).flatten(1))
    torch.testing.assert_close(attention(x, bias)[0], expected)
