"""The attention of MAFT, as gonogo sees it from outside."""

from collections.abc import Callable
from functools import cache

import pytest
import torch

from gonogo.checks.attention.bottleneck_cut import bottleneck_cut
from gonogo.checks.attention.degenerate import degenerate
from gonogo.checks.attention.pair_mass import pair_mass
from gonogo.checks.attention.rows import rows
from gonogo.core.criterion import Status
from gonogo.core.report import Result
from gonogo.instruments.attention.between_streams import OTHER, pairs
from gonogo.instruments.attention.capture import Captured, attention_maps, capturing
from gonogo.testing.contract import answer
from gonogo.training.session import Session
from gonogo.training.subject import Subject
from gonogo_recipes.maft.batch import STREAMS
from gonogo_recipes.maft.settings import Settings, load
from gonogo_recipes.maft.subject import build


@cache
def subject(encoder: str = "transformer") -> Subject:
    return build(size="tiny", **{"model.encoder": encoder})


@cache
def captured(encoder: str = "transformer") -> Captured:
    return attention_maps(Session(subject(encoder)))


@cache
def asked(check: Callable[..., object]) -> Result:
    return answer(check.check, subject())  # type: ignore[attr-defined]


@pytest.mark.requirement("MAFT-9.1")
@pytest.mark.parametrize("encoder", ["transformer", "lstm"])
def test_every_layer_and_head_is_seen(encoder: str) -> None:
    model = load({"size": "tiny", "model": {"encoder": encoder}}).model
    maps = captured(encoder).maps
    fusion = [one.where for one in maps if one.where.startswith("fusion")]
    wanted = [f"fusion.layers.{layer}.{stream}.attention" for layer in range(model.fusion_layers) for stream in STREAMS]
    assert fusion == wanted
    assert {one.shape[1] for one in maps} == {model.num_heads}
    assert not captured(encoder).unseen


@pytest.mark.requirement("MAFT-9.1")
def test_what_is_watched_answers_the_same_bits(settings: Settings, make_batch: Callable[..., dict]) -> None:
    model = subject().model().double().eval()  # type: ignore[misc]
    batch = make_batch(settings.model, quality=True)
    plain = model(batch)
    with capturing(model):
        watched = model(batch)
    assert all(torch.equal(plain[key], watched[key]) for key in plain if isinstance(plain[key], torch.Tensor))


@pytest.mark.requirement("MAFT-9.2")
def test_weights_are_shares_in_float64(settings: Settings, make_batch: Callable[..., dict]) -> None:
    model = subject().model().double().eval()  # type: ignore[misc]
    with torch.no_grad(), capturing(model) as found:
        model(make_batch(settings.model, quality=True))
    assert all(one.over_keys < 1e-12 and bool((one.weights >= 0).all()) for one in found.maps)
    assert all(bool(torch.isfinite(one.weights).all()) for one in found.maps)
    masked = [one.weights[~one.allowed] for one in found.maps if one.allowed is not None]
    assert masked
    assert all(not weights.any() for weights in masked)


@pytest.mark.requirement("MAFT-9.2")
def test_the_check_of_rows_passes() -> None:
    assert asked(rows).status is Status.PASS


@pytest.mark.requirement("MAFT-9.3")
def test_streams_never_read_each_other_directly() -> None:
    found = pairs(Session(subject()))
    assert all(found.share(one, other) is None for one in STREAMS for other in STREAMS if one != other)


@pytest.mark.requirement("MAFT-9.3")
def test_bottlenecks_read_every_stream_and_are_read() -> None:
    found = pairs(Session(subject()))
    assert all((found.share(OTHER, stream) or 0) > 0.05 for stream in STREAMS)
    assert all((found.share(stream, OTHER) or 0) > 0.05 for stream in STREAMS)


@pytest.mark.requirement("MAFT-9.3")
def test_padding_is_not_read() -> None:
    result = asked(pair_mass)
    assert result.status is Status.PASS
    assert result.observation is not None
    assert result.observation.measurements["padding"].value == 0


@pytest.mark.requirement("MAFT-9.3")
def test_attention_is_neither_even_nor_decided() -> None:
    assert asked(degenerate).status is Status.PASS


@pytest.mark.requirement("MAFT-9.4")
def test_there_is_a_heat_map_for_each_pair_of_modalities() -> None:
    result = asked(pair_mass)
    assert result.observation is not None
    _, *pictures = result.observation.tables
    shown = {tuple(picture.columns[0].split(", ")) for picture in pictures if picture.kind == "heatmap"}
    assert shown == {(one, other) for one in STREAMS for other in STREAMS if one != other}


@pytest.mark.requirement("MAFT-2.2", "MAFT-9.3")
def test_within_one_layer_nothing_passes_beside_the_bottlenecks() -> None:
    result = asked(bottleneck_cut)
    assert result.status is Status.PASS
    assert result.observation is not None
    assert result.observation.measurements["beside"].value == 0
