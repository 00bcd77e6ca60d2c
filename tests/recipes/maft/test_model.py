from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo_recipes.maft.batch import COMBINATIONS, STREAMS, Batch, keep_only, mask_key, quality_key, time_key
from gonogo_recipes.maft.losses import compute_loss
from gonogo_recipes.maft.model import build_model
from gonogo_recipes.maft.settings import Settings

MakeBatch = Callable[..., Batch]
ENCODERS = ("transformer", "lstm")
ANSWERS = ("logits", "regression", *(f"logits_{stream}" for stream in STREAMS))
HELD = 1e-12  # float64; right implementations are at 1e-16 to 1e-14, every defect known at 1e-3 and more


@pytest.fixture(params=ENCODERS)
def model(request: pytest.FixtureRequest, settings: Settings) -> nn.Module:
    changed = settings.model.model_copy(update={"encoder": request.param, "modality_dropout": 0.5})
    torch.manual_seed(0)
    return build_model(settings.model_copy(update={"model": changed})).double().eval()


def answers(model: nn.Module, batch: Batch) -> list[Tensor]:
    with torch.no_grad():
        outputs = model(batch)
    return [outputs[name] for name in ANSWERS]


def identical(left: list[Tensor], right: list[Tensor]) -> bool:
    return all(torch.equal(a, b) and bool(torch.isfinite(a).all()) for a, b in zip(left, right, strict=True))


def furthest(left: list[Tensor], right: list[Tensor]) -> float:
    return max(float((a - b).detach().abs().max()) for a, b in zip(left, right, strict=True))


def poisoned(batch: Batch, poison: float) -> Batch:
    """Something else wherever a mask is False: content, times and quality."""
    changed = dict(batch)
    for stream in STREAMS:
        mask = batch[mask_key(stream)]
        for key in (stream, time_key(stream), quality_key(stream)):
            if key in batch and batch[key].is_floating_point():
                shape = mask.view(*mask.shape, *[1] * (batch[key].dim() - 2))
                changed[key] = torch.where(shape, batch[key], poison)
            elif key in batch:
                changed[key] = torch.where(mask, batch[key], 10**9)  # no such id
    return changed


def padded(batch: Batch, stream: str, steps: int = 13) -> Batch:
    keys = [key for key in (stream, mask_key(stream), time_key(stream), quality_key(stream)) if key in batch]
    return {
        **batch,
        **{
            key: torch.cat(
                [
                    batch[key],
                    batch[key][:, :1].repeat(1, steps, *[1] * (batch[key].dim() - 2)) * (key != mask_key(stream)),
                ],
                1,
            )
            for key in keys
        },
    }


@pytest.mark.requirement("MAFT-3.1")
@pytest.mark.parametrize("size", [1, 4, 16])
def test_a_forward_pass_gives_every_output_in_its_shape(
    model: nn.Module, settings: Settings, make_batch: MakeBatch, size: int
) -> None:
    outputs = model(make_batch(settings.model, size=size))
    dim, classes = settings.model.hidden_dim, settings.model.num_classes
    shapes = {name: (size, classes) for name in ("logits", *(f"logits_{stream}" for stream in STREAMS))}
    shapes |= {"regression": (size, 1), "present": (size, 3), "dropped": (size, 3)}
    shapes |= {name: (size, 3, dim) for name in ("embeddings", "reconstruction", "target")}
    assert {name: tuple(value.shape) for name, value in outputs.items()} == shapes


@pytest.mark.requirement("MAFT-2.2")
@pytest.mark.parametrize("kept", COMBINATIONS, ids="".join)
def test_every_combination_of_modalities_gives_finite_answers_of_its_own(
    model: nn.Module, batch: Batch, kept: tuple[str, ...]
) -> None:
    found, others = answers(model, keep_only(batch, kept)), [c for c in COMBINATIONS if c != kept]
    assert all(torch.isfinite(answer).all() for answer in found)
    assert all(furthest(found[:2], answers(model, keep_only(batch, other))[:2]) > 1e-6 for other in others)


@pytest.mark.requirement("MAFT-2.2")
@pytest.mark.parametrize("kept", COMBINATIONS, ids="".join)
@pytest.mark.parametrize("poison", [torch.nan, 1e4, -1e4])
def test_what_an_absent_modality_holds_changes_no_bit(
    model: nn.Module, batch: Batch, kept: tuple[str, ...], poison: float
) -> None:
    some = keep_only(batch, kept)
    assert identical(answers(model, some), answers(model, poisoned(some, poison)))


@pytest.mark.requirement("MAFT-2.1")
@pytest.mark.parametrize("quality", [False, True])
def test_what_the_padding_holds_changes_no_bit(
    model: nn.Module, settings: Settings, make_batch: MakeBatch, quality: bool
) -> None:
    batch = make_batch(settings.model, quality=quality)
    assert identical(answers(model, batch), answers(model, poisoned(batch, torch.nan)))


@pytest.mark.parametrize("stream", STREAMS)
def test_more_padding_changes_nothing(model: nn.Module, batch: Batch, stream: str) -> None:
    assert furthest(answers(model, batch), answers(model, padded(batch, stream))) <= HELD


def test_a_sample_gets_the_same_answer_alone_as_in_a_batch(model: nn.Module, batch: Batch) -> None:
    alone = [answers(model, {key: value[row : row + 1] for key, value in batch.items()}) for row in range(4)]
    together = [torch.cat(parts) for parts in zip(*alone, strict=True)]
    assert furthest(answers(model, batch), together) <= HELD


def test_a_sample_without_any_modality_gets_a_finite_answer(model: nn.Module, batch: Batch) -> None:
    assert all(torch.isfinite(answer).all() for answer in answers(model, keep_only(batch, ())))


@pytest.mark.parametrize("kept", COMBINATIONS, ids="".join)
def test_no_row_of_attention_is_without_a_key(
    settings: Settings, batch: Batch, kept: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Kernels differ in what such a row gives, zeros or NaN; who looks at the weights from outside gets NaN.
    masks: list[Tensor] = []
    attend = functional.scaled_dot_product_attention

    def noted(*args: Tensor, attn_mask: Tensor, **others: float) -> Tensor:
        masks.append(attn_mask)
        return attend(*args, attn_mask=attn_mask, **others)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", noted)
    build_model(settings).double()(keep_only(batch, kept))
    assert masks
    assert all(torch.isfinite(mask).any(-1).all() for mask in masks)


@pytest.mark.requirement("MAFT-2.2")
def test_quality_one_is_an_exact_no_op(model: nn.Module, settings: Settings, batch: Batch) -> None:
    ones = {quality_key(stream): torch.ones_like(batch[time_key(stream)]) for stream in STREAMS}
    assert identical(answers(model, batch), answers(model, {**batch, **ones}))


@pytest.mark.requirement("MAFT-2.2")
@pytest.mark.parametrize("stream", STREAMS)
def test_quality_weakens_a_modality(model: nn.Module, batch: Batch, stream: str) -> None:
    doubtful = {**batch, quality_key(stream): torch.linspace(0.1, 1, 7).expand(4, -1).double()}
    assert furthest(answers(model, batch)[:2], answers(model, doubtful)[:2]) > 1e-6


def test_a_step_whose_quality_tends_to_zero_tends_to_a_masked_one(settings: Settings, batch: Batch) -> None:
    torch.manual_seed(0)
    model = build_model(settings).double().eval()
    last = torch.zeros(4, 7, dtype=torch.bool)
    last[0, -1] = True  # the first sample fills its length
    masked = {**batch, "audio_mask": batch["audio_mask"] & ~last}
    distances = [
        furthest(answers(model, {**batch, "audio_quality": torch.where(last, q, 1.0).double()}), answers(model, masked))
        for q in (1e-2, 1e-4, 1e-8)
    ]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 1e-7


@pytest.mark.requirement("MAFT-2.3")
def test_dropping_a_modality_is_the_same_as_not_having_it(model: nn.Module, batch: Batch) -> None:
    torch.manual_seed(3)
    outputs = model.train()(batch)
    masks = {
        mask_key(stream): batch[mask_key(stream)] & outputs["present"][:, [place]]
        for place, stream in enumerate(STREAMS)
    }
    assert outputs["dropped"].any()
    assert furthest([outputs[name] for name in ANSWERS], answers(model.eval(), {**batch, **masks})) <= HELD


@pytest.mark.requirement("MAFT-2.3")
def test_dropped_modalities_leave_zeros(model: nn.Module, batch: Batch) -> None:
    torch.manual_seed(3)
    outputs = model.train()(batch)
    assert outputs["dropped"].any()
    assert torch.equal(outputs["embeddings"].abs().sum(-1) > 0, outputs["present"])


@pytest.mark.requirement("MAFT-2.3")
def test_evaluation_drops_nothing_and_draws_nothing(model: nn.Module, batch: Batch) -> None:
    torch.manual_seed(1)
    first = answers(model, batch)
    torch.manual_seed(2)
    assert identical(first, answers(model, batch))
    assert not model(batch)["dropped"].any()


@pytest.mark.requirement("MAFT-2.4")
def test_the_temperature_divides_the_logits_and_is_trained(model: nn.Module, batch: Batch) -> None:
    before = answers(model, batch)[0]
    temperature = model.heads.log_temperature
    with torch.no_grad():
        temperature += torch.tensor(2.0).log()
    torch.testing.assert_close(answers(model, batch)[0], before / 2)
    model(batch)["logits"].square().sum().backward()
    assert temperature.grad is not None
    assert temperature.grad.abs() > 0


@pytest.mark.requirement("MAFT-2.4")
def test_the_head_starts_at_the_temperature_that_was_set(settings: Settings) -> None:
    changed = settings.model.model_copy(update={"temperature": 2.5})
    model = build_model(settings.model_copy(update={"model": changed}))
    assert model.heads.log_temperature.exp().item() == pytest.approx(2.5)  # type: ignore[union-attr]


@pytest.mark.requirement("MAFT-3.2")
def test_the_loss_reaches_every_parameter(model: nn.Module, settings: Settings, batch: Batch) -> None:
    torch.manual_seed(3)
    for _ in range(3):  # modality dropout may hide a stream from one step
        total, _ = compute_loss(settings, model.train()(batch), batch)
        total.backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert idle == []


def test_no_parameter_lacks_a_gradient_even_in_a_batch_of_one_modality(
    model: nn.Module, settings: Settings, batch: Batch
) -> None:
    lone = keep_only(batch, ("text",))
    total, _ = compute_loss(settings, model(lone), lone)
    total.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_text_may_be_features(settings: Settings, make_batch: MakeBatch) -> None:
    changed = settings.model.model_copy(update={"text_dim": 5})
    model = build_model(settings.model_copy(update={"model": changed})).double()
    assert torch.isfinite(model(make_batch(changed))["logits"]).all()


def test_a_frozen_text_embedding_is_not_trained(settings: Settings, batch: Batch) -> None:
    changed = settings.model.model_copy(update={"freeze_text": True})
    model = build_model(settings.model_copy(update={"model": changed}))
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert frozen == ["encoders.text.content.weight"]


def test_the_parts_are_called_as_parameter_groups_are(settings: Settings) -> None:
    assert {name.partition(".")[0] for name, _ in build_model(settings).named_parameters()} == {
        "encoders",
        "fusion",
        "heads",
    }


@pytest.mark.parametrize("stream", STREAMS)
def test_time_matters_and_not_the_place_in_the_batch(settings: Settings, batch: Batch, stream: str) -> None:
    torch.manual_seed(0)
    model = build_model(settings).double().eval()
    order = torch.randperm(7)
    keys = (stream, mask_key(stream), time_key(stream))
    shuffled = {**batch, **{key: batch[key][:, order] for key in keys}}
    moved = {**batch, time_key(stream): batch[time_key(stream)].flip(1)}
    assert furthest(answers(model, batch), answers(model, shuffled)) <= HELD
    assert furthest(answers(model, batch), answers(model, moved)) > 1e-6
