import pytest
import torch

from gonogo_recipes.maft.batch import Batch
from gonogo_recipes.maft.model import build_model
from gonogo_recipes.maft.settings import Settings, load

ORIGIN = {"model.variant": "legacy", "model.vocab_size": 30_522, "model.bottlenecks": 8, "model.num_classes": 2}


@pytest.mark.parametrize(
    ("hidden", "heads", "layers", "expected"),
    [
        (256, 4, 1, 10_401_621),
        (384, 6, 1, 17_507_061),
        (768, 12, 1, 46_441_941),
        (768, 12, 2, 53_529_813),
    ],
)
def test_the_origin_has_its_golden_number_of_parameters(hidden: int, heads: int, layers: int, expected: int) -> None:
    sizes = {"model.hidden_dim": hidden, "model.num_heads": heads, "model.fusion_layers": layers}
    with torch.device("meta"):
        model = build_model(load(overrides={**ORIGIN, **sizes}))
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.fixture
def legacy(settings: Settings) -> torch.nn.Module:
    torch.manual_seed(0)
    model = settings.model.model_copy(update={"variant": "legacy", "modality_dropout": 0.5})
    return build_model(settings.model_copy(update={"model": model})).double().eval()


def test_the_origin_answers_with_the_keys_of_the_recipe(
    legacy: torch.nn.Module, settings: Settings, batch: Batch
) -> None:
    assert set(legacy(batch)) == set(build_model(settings).double()(batch))


def test_the_origin_keeps_that_padding_changes_its_answer(legacy: torch.nn.Module, batch: Batch) -> None:
    poisoned = {**batch, "audio": torch.where(batch["audio_mask"].unsqueeze(-1), batch["audio"], 5.0)}
    assert not torch.allclose(legacy(batch)["logits"], legacy(poisoned)["logits"], atol=1e-6)


def test_the_origin_keeps_that_it_may_drop_every_modality(legacy: torch.nn.Module, batch: Batch) -> None:
    torch.manual_seed(0)
    legacy.train()
    lost = [(~legacy(batch)["present"]).all(-1).float().mean() for _ in range(50)]
    assert 0.05 < torch.stack(lost).mean() < 0.25  # 0.5 ** 3
