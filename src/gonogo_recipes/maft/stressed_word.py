"""The sentiment of the stressed word, its sign flipped by a visual cue: no stream has the answer, and none is spare.

Text says how positive each word is, audio has a bump in time at the word that is stressed, and every visual frame shows
whether the sign is meant. Averages over time lose which word it was, so streams of different rates must be aligned by
time. The sign is flipped in a quarter of the clips, not in half: with a half every stream alone, and every pair without
the third, would say nothing, and there would be no slope to start learning from.

A constant answer is right in half of the clips with a mean absolute error of 1.19.
Source: the measured third version of the task; the two before could not be learned through attention bottlenecks.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gonogo.errors import SubjectError
from gonogo_recipes.maft.samples import BOUND, Sample, generator, sample
from gonogo_recipes.maft.settings import DataSettings

FLIPPED = 0.25  # of the clips
DEVIATION = 1.53  # of a word's sentiment before it is clipped to [-3, 3]: the median then errs by 1.19
FEWEST = 0.5  # words of a clip, as a share of the most
UNEVEN = 0.25  # how much the duration of a word differs from the mean
WIDTH = 0.4  # of the bump, in durations of its word
BUMP, CUE, NOISE = 3.0, 1.0, 0.3  # per feature, in the direction of the bump or cue
_Vector = Float[np.ndarray, " columns"]


@dataclass(frozen=True, slots=True)
class StressedWord:
    """Draws samples of the task.

    Attributes:
        data: Lengths, widths and seed.
        sentiments: [vocab] of each word; 0 of the padding.
        directions: What a polarity, a bump and a cue look like among the features of their streams.
    """

    data: DataSettings
    sentiments: Float[np.ndarray, " vocab"]
    directions: dict[str, _Vector]

    def __call__(self, draws: np.random.Generator) -> Sample:
        """One sample from random numbers of its own."""
        most = self.data.text_length
        count = int(draws.integers(max(1, round(FEWEST * most)), most, endpoint=True))
        words = draws.integers(1, len(self.sentiments), count)
        stressed, sign = int(draws.integers(count)), -1.0 if draws.random() < FLIPPED else 1.0
        ends = np.cumsum(draws.uniform(1 - UNEVEN, 1 + UNEVEN, count))
        starts, ends = np.concatenate(([0.0], ends[:-1])) / ends[-1], ends / ends[-1]
        middles = (starts + ends) / 2
        frames = {name: _frames(count / most, getattr(self.data, f"{name}_length")) for name in ("audio", "visual")}
        distance = (frames["audio"] - middles[stressed]) / (WIDTH * (ends - starts)[stressed])
        contents = {
            "text": self._text(words, draws),
            "audio": self._shown("audio", BUMP * np.exp(-(distance**2) / 2), draws),
            "visual": self._shown("visual", np.full(len(frames["visual"]), CUE * sign), draws),
        }
        times = {name: torch.from_numpy(at.astype(np.float32)) for name, at in {"text": middles, **frames}.items()}
        return sample(contents, float(sign * self.sentiments[words[stressed]]), self.data.num_classes, times=times)

    def _text(self, words: Int[np.ndarray, " words"], draws: np.random.Generator) -> Tensor:
        if not self.data.text_dim:
            return torch.from_numpy(words)
        return self._shown("text", self.sentiments[words], draws)

    def _shown(self, stream: str, strength: Float[np.ndarray, " steps"], draws: np.random.Generator) -> Tensor:
        """[steps, columns] features: a direction as strong as given, in noise."""
        direction = self.directions[stream]
        noise = draws.standard_normal((len(strength), len(direction)), dtype=np.float32)
        return torch.from_numpy((np.outer(strength, direction) + NOISE * noise).astype(np.float32))


def stressed_word(data: DataSettings) -> StressedWord:
    """The task of these settings.

    Raises:
        SubjectError: Frames are too few to say which word is stressed, or words too few to differ in sentiment.
    """
    if data.audio_length < data.text_length:
        found = f"data.audio_length {data.audio_length} is below data.text_length {data.text_length}"
        raise SubjectError(
            f"{found}: the stressed word may fall between two frames; give {2 * data.text_length} or more"
        )
    if not data.text_dim and data.vocab_size < 9:
        found = f"data.vocab_size {data.vocab_size} was found"
        raise SubjectError(f"{found}; id 0 is padding and the rest are degrees of sentiment; give 9 or more")
    draws = generator(data.seed, "task", "stressed-word")
    widths = {"text": data.text_dim, "audio": data.audio_dim, "visual": data.visual_dim}
    return StressedWord(
        data,
        _sentiments(data.vocab_size, draws),
        {name: draws.choice([-1.0, 1.0], width) for name, width in widths.items()},
    )


def _sentiments(vocabulary: int, draws: np.random.Generator) -> Float[np.ndarray, " vocab"]:
    """One for each id, normal and clipped, in no order: quantiles, so that every vocabulary has the same spread."""
    words = vocabulary - 1
    quantiles = [NormalDist(0, DEVIATION).inv_cdf((rank + 0.5) / words) for rank in range(words)]
    return np.concatenate(([0.0], np.clip(draws.permutation(quantiles), -BOUND, BOUND)))


def _frames(share: float, longest: int) -> Float[np.ndarray, " frames"]:
    """Times of the frames of a clip that lasts this share of the longest one."""
    count = max(1, round(share * longest))
    return (np.arange(count) + 0.5) / count
