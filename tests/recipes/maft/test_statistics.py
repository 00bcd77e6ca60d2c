"""Statistics of a split, against NumPy on everything at once."""

import numpy as np
import pytest
import torch

from gonogo_recipes.maft.data import datasets
from gonogo_recipes.maft.samples import Sample, sample
from gonogo_recipes.maft.settings import DataSettings
from gonogo_recipes.maft.statistics import of_split, statistics, tables

pytestmark = pytest.mark.requirement("MAFT-1.7")


def clip(audio: torch.Tensor, score: float = 1.0) -> Sample:
    return sample({"text": torch.tensor([3, 3, 7]), "audio": audio, "visual": torch.zeros(0, 35)}, score, 2)


def test_moments_are_those_of_all_steps_together() -> None:
    parts = [torch.randn(steps, 74, generator=torch.Generator().manual_seed(steps)) + 1e4 for steps in (3, 1, 9)]
    found = statistics(map(clip, parts)).features["audio"]
    together = torch.cat(parts).double().numpy()
    np.testing.assert_allclose(found.mean, together.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.deviation, together.std(0), rtol=1e-9)
    np.testing.assert_array_equal(found.low, together.min(0))
    np.testing.assert_array_equal(found.high, together.max(0))
    assert found.steps == 13


def test_values_that_are_no_numbers_are_counted_by_kind_and_column() -> None:
    audio = torch.zeros(5, 74)
    audio[:3, 2], audio[4, 2], audio[1, 9] = -torch.inf, torch.inf, torch.nan
    found = statistics([clip(audio), clip(audio)])
    features = found.features["audio"]
    assert (features.below[2], features.above[2], features.nan[9], features.nonfinite) == (6, 2, 2, 10)
    assert features.mean[2] == 0  # over the steps that are numbers
    shown = next(table for table in tables(found) if table.title.startswith("Columns"))
    assert shown.rows == (("audio", 2, 0, 2, 6), ("audio", 9, 2, 0, 0))


def test_a_column_without_any_number_has_no_moments() -> None:
    audio = torch.zeros(2, 74)
    audio[:, 5] = torch.nan
    found = statistics([clip(audio)])
    assert np.isnan(found.features["audio"].mean[5])
    assert all(table.rows for table in tables(found))


def test_lengths_words_and_targets_are_counted() -> None:
    found = statistics([clip(torch.zeros(4, 74), 1.0), clip(torch.zeros(2, 74), -2.0)])
    assert found.lengths == {"text": [3, 3], "audio": [4, 2], "visual": [0, 0]}
    assert found.words == {3: 4, 7: 2}
    assert found.labels == {0: 1, 1: 1}
    assert found.scores == [1.0, -2.0]
    assert tables(found)[0].rows[2][:2] == ("visual", 2)  # absent in both


def test_no_samples_have_statistics_without_numbers() -> None:
    assert tables(statistics([]))[1].rows == ((None,) * 7,)


def test_a_split_is_read_to_its_end() -> None:
    data = DataSettings(samples=7)
    assert len(of_split(datasets(data)["train"]).scores) == 7  # type: ignore[arg-type]
