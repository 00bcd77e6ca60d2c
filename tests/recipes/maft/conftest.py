"""Tiny settings and random batches in every combination of lengths, for the tests of the recipe."""

from collections.abc import Callable

import pytest
import torch

from gonogo_recipes.maft.batch import LABEL, SCORE, STREAMS, Batch, mask_key, quality_key, time_key
from gonogo_recipes.maft.settings import ModelSettings, Settings, load


@pytest.fixture
def settings() -> Settings:
    return load({"size": "tiny"})


def random_batch(model: ModelSettings, size: int = 4, length: int = 7, seed: int = 0, quality: bool = False) -> Batch:
    """A batch of `size` samples of different lengths, padded on the right, float64."""
    generator = torch.Generator().manual_seed(seed)
    batch: Batch = {
        LABEL: torch.randint(model.num_classes, (size,), generator=generator),
        SCORE: 6 * torch.rand(size, generator=generator, dtype=torch.float64) - 3,
    }
    for stream, width in zip(STREAMS, (model.text_dim, model.audio_dim, model.visual_dim), strict=True):
        lengths = torch.randint(1, length + 1, (size, 1), generator=generator).index_fill_(0, torch.tensor(0), length)
        batch[mask_key(stream)] = torch.arange(length) < lengths
        batch[time_key(stream)] = (torch.arange(length) / lengths).clamp(max=1).double()
        batch[stream] = (
            torch.randn(size, length, width, generator=generator, dtype=torch.float64)
            if width
            else torch.randint(model.vocab_size, (size, length), generator=generator)
        )
        if quality:
            batch[quality_key(stream)] = 0.05 + 0.95 * torch.rand(size, length, generator=generator).double()
    return batch


@pytest.fixture
def batch(settings: Settings) -> Batch:
    return random_batch(settings.model)


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    return random_batch
