"""The task of the stressed word: who aligns the streams by time has the answer, nobody else."""

import numpy as np
import pytest

from gonogo.errors import SubjectError
from gonogo_recipes.maft import metrics
from gonogo_recipes.maft.samples import Drawn
from gonogo_recipes.maft.settings import DataSettings, load
from gonogo_recipes.maft.stressed_word import StressedWord, stressed_word

COUNT = 1500


class Read:
    """What each stream says about the clips of a split, read by who knows the task."""

    def __init__(self, task: StressedWord, split: str = "train") -> None:
        drawn = Drawn(task, split, COUNT, task.data.seed)
        clips = [drawn[index] for index in range(COUNT)]
        self.scores = np.array([clip["score"] for clip in clips])
        self.average = np.array([task.sentiments[clip["text"]].mean() for clip in clips])
        self.stressed = np.array([self._stressed(task, clip) for clip in clips])
        self.sign = np.array([np.sign((clip["visual"].numpy() @ task.directions["visual"]).mean()) for clip in clips])

    def _stressed(self, task: StressedWord, clip: dict) -> float:
        frame = int((clip["audio"].numpy() @ task.directions["audio"]).argmax())
        word = int((clip["text_time"] - clip["audio_time"][frame]).abs().argmin())
        return float(task.sentiments[clip["text"][word]])

    def accuracy(self, answer: np.ndarray) -> float:
        return metrics.of_scores(answer, self.scores)["acc2-mult"].value or 0.0


@pytest.fixture(scope="module")
def read() -> Read:
    return Read(stressed_word(DataSettings()))


@pytest.mark.requirement("MAFT-1.5")
def test_three_streams_aligned_by_time_give_the_score(read: Read) -> None:
    np.testing.assert_allclose(read.stressed * read.sign, read.scores, atol=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_constant_answer_is_right_in_half_and_errs_by_a_known_amount(seed: int) -> None:
    found = Read(stressed_word(DataSettings(seed=seed)))
    assert abs((found.scores > 0).mean() - 0.5) < 0.04
    assert np.abs(found.scores - np.median(found.scores)).mean() == pytest.approx(1.19, abs=0.07)


def test_text_alone_is_near_chance(read: Read) -> None:
    assert 0.5 < read.accuracy(read.average) < 0.6


def test_averages_over_time_are_far_from_the_answer(read: Read) -> None:
    assert read.accuracy(read.average * read.sign) < 0.68


def test_without_the_visual_cue_a_quarter_is_wrong(read: Read) -> None:
    assert read.accuracy(read.stressed) == pytest.approx(0.75, abs=0.05)


def test_streams_have_rates_of_their_own(read: Read) -> None:
    clip = Drawn(stressed_word(DataSettings()), "train", 1, 0)[0]
    assert len(clip["text"]) < len(clip["visual"]) < len(clip["audio"])
    assert len(set(np.round(np.diff(clip["text_time"]), 4))) > 1  # words are not equally long


def test_the_smallest_preset_can_be_solved_too() -> None:
    read = Read(stressed_word(load({"size": "tiny"}).data))
    assert read.accuracy(read.stressed * read.sign) > 0.99


@pytest.mark.requirement("MAFT-1.5")
def test_splits_share_the_task_and_no_sample() -> None:
    task = stressed_word(DataSettings())
    train, valid = (Read(task, split) for split in ("train", "valid"))
    np.testing.assert_allclose(valid.stressed * valid.sign, valid.scores, atol=1e-6)
    assert not np.array_equal(train.scores, valid.scores)


def test_text_can_be_features_that_are_read_linearly() -> None:
    task = stressed_word(DataSettings(text_dim=16))
    clip = Drawn(task, "train", 1, 0)[0]
    assert clip["text"].shape[1] == 16


def test_frames_too_few_to_say_which_word_are_refused() -> None:
    with pytest.raises(SubjectError, match="audio_length 6 is below"):
        stressed_word(DataSettings(audio_length=6))


def test_words_too_few_to_differ_are_refused() -> None:
    with pytest.raises(SubjectError, match="vocab_size 4 was found"):
        stressed_word(DataSettings(vocab_size=4))
