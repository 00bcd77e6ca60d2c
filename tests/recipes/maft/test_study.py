from dataclasses import replace

import pytest
import torch

from gonogo.study.comparison import Comparison
from gonogo.study.trials import measured
from gonogo_recipes.maft import study
from gonogo_recipes.maft.settings import load

SMALLEST = {
    "size": "tiny",
    "training.epochs": 1,
    "training.batch_size": 8,
    "data.samples": 32,
    "data.valid_samples": 16,
    "data.test_samples": 16,
}


@pytest.fixture(scope="module")
def comparison():
    """Every variant, trained for four updates."""
    torch.set_num_threads(1)
    built = replace(study.build(device="cpu", **SMALLEST), seeds=(0,))
    return Comparison(built, {(name, 0): measured(variant, 0) for name, variant in built.variants.items()})


@pytest.mark.requirement("MAFT-6.1")
def test_every_variant_reaches_its_end(comparison):
    assert comparison.failures == {}
    assert [*comparison.study.variants] == [
        "MAFT",
        "MAFT, modality dropout",
        "text only",
        "late fusion",
        "early fusion",
        "early fusion, given the alignment",
        "constant",
    ]


@pytest.mark.requirement("MAFT-6.1")
def test_all_that_is_trained_is_trained_alike_and_as_large_within_a_tenth(comparison):
    assert {row[0] for row in comparison.differences()} == {"constant"}
    assert comparison.of("MAFT")[0].procedure["updates"] == 4


@pytest.mark.requirement("MAFT-6.2", "MAFT-3.4")
@pytest.mark.parametrize("name", ["accuracy", "f1-weighted", "mae"])
def test_every_metric_is_there_with_each_stream_muted(comparison, name):
    for variant in comparison.study.variants:
        for view in ("", "without text", "without audio", "without visual"):
            assert comparison.estimate(variant, name, view) is not None, (variant, view)


def test_the_metric_of_the_samples_is_the_metric(comparison):
    for trial in comparison.trials.values():
        for name, values in trial.samples.items():
            assert sum(values) / len(values) == pytest.approx(trial.metrics[name], abs=1e-6)


@pytest.mark.requirement("MAFT-10.3")
def test_there_are_curves_of_training_and_validation(comparison):
    trial = comparison.of("late fusion")[0]
    assert [step for step, _ in trial.curves["training loss"]] == [4]
    assert [step for step, _ in trial.curves["validation accuracy"]] == [4]


def test_a_constant_answer_does_not_care_what_is_muted(comparison):
    trial = comparison.of("constant")[0]
    assert all(view["mae"] == trial.metrics["mae"] for view in trial.views.values())
    assert trial.metrics["pearson"] is None


def test_only_what_a_variant_sees_can_be_muted(comparison):
    text, late = comparison.of("text only")[0], comparison.of("late fusion")[0]
    assert text.views["without audio"]["mae"] == text.metrics["mae"] != text.views["without text"]["mae"]
    assert all(late.views[f"without {stream}"]["mae"] != late.metrics["mae"] for stream in ("text", "audio", "visual"))


def test_another_seed_gives_another_trial(comparison):
    other = measured(comparison.study.variants["text only"], 1)
    assert other.metrics["mae"] != comparison.of("text only")[0].metrics["mae"]


def test_the_same_seed_gives_the_same_trial(comparison):
    again = measured(comparison.study.variants["late fusion"], 0)
    assert again.metrics == comparison.of("late fusion")[0].metrics


def test_only_generated_data_are_called_a_proxy(tmp_path):
    assert "synthetic" in study.build(**SMALLEST).proxy
    (tmp_path / "real.pkl").write_bytes(b"")
    assert study.build(**SMALLEST, **{"data.task": "mmsa", "data.path": str(tmp_path / "real.pkl")}).proxy == ""


def test_a_file_of_settings_is_taken_as_it_is(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("size: tiny\ntraining: {epochs: 2}\n")
    built = study.build(str(path))
    assert load(study.STRESSED_WORD).training.epochs != 2
    assert built.variants["MAFT"].args[0].training.epochs == 2  # type: ignore[attr-defined]
