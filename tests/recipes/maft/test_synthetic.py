"""The generated clips: their shapes, their correlation, and that all splits ask for the same thing."""

import time
from typing import Any

import numpy as np
import pytest
import torch

from gonogo.errors import SubjectError
from gonogo_recipes.maft.batch import SCORE, STREAMS
from gonogo_recipes.maft.data import datasets
from gonogo_recipes.maft.samples import Drawn, Sample, label_of
from gonogo_recipes.maft.settings import DataSettings, load
from gonogo_recipes.maft.synthetic import correlated

LONG = {"text_length": 50, "audio_length": 100, "visual_length": 80, "vocab_size": 64}


def clips(count: int, split: str = "train", **settings: Any) -> list[Sample]:
    data = DataSettings(task="correlated", **settings)
    drawn = Drawn(correlated(data), split, count, data.seed)
    return [drawn[index] for index in range(count)]


def features(samples: list[Sample], stream: str, vocabulary: int = 64) -> np.ndarray:
    """The mean over time; of token ids, how often each occurs. And a one."""
    means = [
        (clip[stream].float() if clip[stream].dim() > 1 else torch.eye(vocabulary)[clip[stream]]).mean(0)
        for clip in samples
    ]
    return np.hstack([torch.stack(means).numpy(), np.ones((len(means), 1))])


def latent(samples: list[Sample]) -> np.ndarray:
    return np.arctanh(np.array([clip[SCORE] for clip in samples]) / 3)


def read_outs(strength: float, count: int = 500) -> dict[str, np.ndarray]:
    """Held-out least squares from each stream alone to the latent."""
    train, valid = (
        clips(size, split, correlation=strength, **LONG) for size, split in ((500, "train"), (count, "valid"))
    )
    fit = {stream: np.linalg.lstsq(features(train, stream), latent(train), rcond=None)[0] for stream in STREAMS}
    return {stream: features(valid, stream) @ weights for stream, weights in fit.items()}


def agreements(strength: float) -> np.ndarray:
    """Correlations between the read-outs of text-audio, text-visual and audio-visual."""
    return np.corrcoef(np.stack(list(read_outs(strength).values())))[np.triu_indices(3, 1)]


@pytest.mark.requirement("MAFT-1.4")
def test_modalities_are_independent_at_0_shared_at_1_and_monotone_between() -> None:
    found = {strength: agreements(strength) for strength in (0.0, 0.5, 1.0)}
    assert (abs(found[0.0]) < 0.2).all()
    assert (found[1.0] > 0.9).all()
    assert (found[0.0] < found[0.5]).all()
    assert (found[0.5] < found[1.0]).all()


@pytest.mark.requirement("MAFT-1.4")
@pytest.mark.parametrize("strength", [0.0, 0.3, 0.7, 1.0])
def test_the_strength_is_the_correlation_of_the_factors(strength: float) -> None:
    task, draws = correlated(DataSettings(correlation=strength)), np.random.default_rng(0)
    factors = np.array([[own[0] for own in task.factors(draws).values()] for _ in range(4000)])
    assert np.corrcoef(factors.T)[np.triu_indices(3, 1)] == pytest.approx(strength, abs=0.05)
    assert factors.std(0) == pytest.approx(1, abs=0.05)


@pytest.mark.requirement("MAFT-1.5")
def test_what_is_learned_from_train_holds_in_valid() -> None:
    train, valid = (clips(600, split, **LONG) for split in ("train", "valid"))
    together = [np.hstack([features(split, stream) for stream in STREAMS]) for split in (train, valid)]
    weights = np.linalg.lstsq(together[0], latent(train), rcond=None)[0]
    assert np.corrcoef(together[1] @ weights, latent(valid))[0, 1] > 0.9


@pytest.mark.requirement("MAFT-1.5")
def test_scores_lie_in_their_range_and_classes_are_their_sign() -> None:
    for clip in clips(200):
        assert -3 <= clip["score"] <= 3
        assert clip["label"] == int(clip["score"] > 0)


@pytest.mark.requirement("MAFT-1.5")
def test_more_classes_are_the_nearest_integers() -> None:
    assert [label_of(score, 7) for score in (-3.0, -2.5, -0.4, 0.5, 3.0)] == [0, 0, 3, 4, 6]
    assert [label_of(score, 3) for score in (-3.0, 0.2, 1.5)] == [0, 1, 2]
    with pytest.raises(SubjectError, match="num_classes 4"):
        label_of(0.0, 4)


@pytest.mark.requirement("MAFT-1.2")
def test_text_is_ids_of_the_vocabulary_without_the_padding() -> None:
    ids = torch.cat([clip["text"] for clip in clips(300, vocab_size=16)])
    assert ids.dtype == torch.int64
    assert sorted(ids.unique().tolist()) == list(range(1, 16))


@pytest.mark.requirement("MAFT-1.1", "MAFT-1.2")
def test_a_vocabulary_without_words_is_refused() -> None:
    with pytest.raises(SubjectError, match="vocab_size 2 was found"):
        datasets(load({"data": {"task": "correlated", "vocab_size": 2}, "model": {"vocab_size": 2}}).data)


@pytest.mark.requirement("MAFT-1.1")
@pytest.mark.parametrize("wrong", [{"samples": 0}, {"correlation": 1.5}, {"audio_dim": 0}, {"seed": -1}])
def test_parameters_are_validated(wrong: dict[str, Any]) -> None:
    with pytest.raises(SubjectError, match=f"data.{next(iter(wrong))}"):
        load({"data": {"task": "correlated", **wrong}})


@pytest.mark.requirement("MAFT-1.2")
def test_lengths_differ_lean_to_short_clips_and_keep_to_the_limit() -> None:
    lengths = np.array([[len(clip[stream]) for stream in STREAMS] for clip in clips(400, **LONG)])
    assert (lengths >= 1).all()
    assert (lengths <= [50, 100, 80]).all()
    assert (lengths.mean(0) > np.median(lengths, 0)).all()  # log-normal: a tail of long ones
    assert np.corrcoef(lengths.T).min() > 0.8  # streams of one clip last equally long


@pytest.mark.requirement("MAFT-1.2", "MAFT-1.3")
def test_every_step_has_a_time_within_the_clip_and_is_valid() -> None:
    for clip in clips(20):
        for stream in STREAMS:
            assert len(clip[stream]) == len(clip[f"{stream}_mask"]) == len(clip[f"{stream}_time"])
            assert clip[f"{stream}_mask"].all()
            assert (clip[f"{stream}_time"].diff() > 0).all()
            assert 0 < clip[f"{stream}_time"].min() <= clip[f"{stream}_time"].max() < 1


@pytest.mark.requirement("MAFT-1.3")
@pytest.mark.parametrize(("stream", "width", "kept"), [("audio", 74, 0.7), ("visual", 35, 0.8)])
def test_a_frame_keeps_its_share_of_the_one_before(stream: str, width: int, kept: float) -> None:
    walks = [clip[stream] for clip in clips(100, **LONG) if len(clip[stream]) > 40]
    assert all(walk.shape[1] == width for walk in walks)
    one, next_one = (torch.cat([(walk - walk.mean(0))[cut] for walk in walks]) for cut in (slice(-1), slice(1, None)))
    assert float((one * next_one).sum() / (one * one).sum()) == pytest.approx(kept, abs=0.07)


@pytest.mark.requirement("MAFT-1.1")
def test_a_sample_depends_on_seed_split_and_index_alone() -> None:
    def content(split: str, index: int, seed: int = 0, count: int = 10) -> torch.Tensor:
        data = DataSettings(seed=seed)
        return Drawn(correlated(data), split, count, seed)[index]["audio"]

    first = content("train", 3)
    assert torch.equal(first, content("train", 3, count=1000))
    for other in (content("train", 4), content("valid", 3), content("train", 3, seed=1)):
        assert first.shape != other.shape or not torch.equal(first, other)


@pytest.mark.requirement("MAFT-1.1")
def test_order_and_repetition_change_nothing() -> None:
    drawn, again = (Drawn(correlated(DataSettings()), "train", 20, 0) for _ in range(2))
    forward = [drawn[index]["visual"] for index in range(20)]
    assert all(torch.equal(again[index]["visual"], forward[index]) for index in reversed(range(20)))
    assert torch.equal(drawn[7]["visual"], forward[7])
    assert torch.equal(drawn[-1]["visual"], forward[19])
    with pytest.raises(IndexError, match="has 20 samples"):
        drawn[20]


@pytest.mark.requirement("MAFT-1.1")
def test_a_hundred_samples_are_drawn_in_less_than_a_second() -> None:
    start = time.process_time()
    clips(100, vocab_size=30_522)
    assert time.process_time() - start < 1


def test_text_can_be_features() -> None:
    assert all(clip["text"].shape[1] == 16 for clip in clips(3, text_dim=16))
