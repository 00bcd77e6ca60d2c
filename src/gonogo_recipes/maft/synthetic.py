"""Clips of three streams whose hidden factors are correlated as strongly as asked.

Every stream m has factors s_m = sqrt(r) z + sqrt(1 - r) e_m, with z shared and e_m its own, all standard normal. So for
the correlation strength r the factors of any two streams correlate by exactly r, from independent (0) to the same (1).
The sentiment is the sum of the streams' first factors, so every stream counts at any r, and at r = 1 each says it all.

What is random about the task itself (projections, words) is drawn from the seed alone and shared by all splits. The
origin of this recipe drew it per split, so that nothing learned from `train` could hold in `valid`.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gonogo.errors import SubjectError
from gonogo_recipes.maft.batch import STREAMS
from gonogo_recipes.maft.samples import BOUND, Sample, generator, sample
from gonogo_recipes.maft.settings import DataSettings

FACTORS = 2
INERTIA = {"text": 0.0, "audio": 0.7, "visual": 0.8}  # share of each frame's noise that the next one keeps
FRAME_NOISE = 1.0
SHARPNESS = 1.5  # how much a word tells: a dozen of them read the factor with r = 0.9, fifty with 0.95
MEDIAN_FILL, SPREAD, SHORTEST = 0.45, 0.5, 0.15  # of the log-normal length, as a share of the longest
PACE = 0.15  # how much streams of one clip differ in steps per second
_Factors = Float[np.ndarray, " factors"]


@dataclass(frozen=True, slots=True)
class Correlated:
    """Draws samples of the task.

    Attributes:
        data: Lengths, widths, correlation and seed.
        projections: Of each stream's factors to its features; for ids, the meaning of each word [vocab - 1, factors].
    """

    data: DataSettings
    projections: dict[str, Float[np.ndarray, "rows columns"]]

    def __call__(self, draws: np.random.Generator) -> Sample:
        """One sample from random numbers of its own."""
        factors = self.factors(draws)
        length = np.clip(np.exp(draws.normal(np.log(MEDIAN_FILL), SPREAD)), SHORTEST, 1.0)
        contents = {stream: self._content(stream, factors[stream], length, draws) for stream in STREAMS}
        latent = sum(float(own[0]) for own in factors.values()) / np.sqrt(3 + 6 * self.data.correlation)
        return sample(contents, BOUND * float(np.tanh(latent)), self.data.num_classes)

    def factors(self, draws: np.random.Generator) -> dict[str, _Factors]:
        """What each stream of one clip is about; any two streams correlate by `data.correlation`."""
        strength = self.data.correlation
        shared = np.sqrt(strength) * draws.standard_normal(FACTORS)
        return {stream: shared + np.sqrt(1 - strength) * draws.standard_normal(FACTORS) for stream in STREAMS}

    def _content(self, stream: str, factors: _Factors, length: float, draws: np.random.Generator) -> Tensor:
        longest = getattr(self.data, f"{stream}_length")
        steps = int(np.clip(round(longest * length * np.exp(draws.normal(0, PACE))), 1, longest))
        if stream == "text" and not self.data.text_dim:
            return torch.from_numpy(self._words(factors, steps, draws))
        level = factors @ self.projections[stream]
        noise = draws.standard_normal((steps, len(level)), dtype=np.float32)
        walk = _inertia(steps, INERTIA[stream]) @ (FRAME_NOISE * noise)
        return torch.from_numpy((level + walk).astype(np.float32))

    def _words(self, factors: _Factors, steps: int, draws: np.random.Generator) -> Int[np.ndarray, " steps"]:
        """Ids from 1 (0 is padding): frequent by rank (Zipf), and the more likely the better they fit the factors."""
        meanings = self.projections["text"]
        chances = np.exp(SHARPNESS * meanings @ factors) / np.arange(1, len(meanings) + 1)
        reached = np.cumsum(chances)
        return 1 + np.minimum(np.searchsorted(reached, draws.random(steps) * reached[-1]), len(meanings) - 1)


def correlated(data: DataSettings) -> Correlated:
    """The task of these settings.

    Raises:
        SubjectError: The vocabulary holds padding and nothing to choose from.
    """
    if not data.text_dim and data.vocab_size < 3:
        raise SubjectError(
            f"data.vocab_size {data.vocab_size} was found; id 0 is padding and words must differ; give 3 or more"
        )
    draws = generator(data.seed, "task", "correlated")
    words = (data.vocab_size - 1, FACTORS)
    shapes = {"text": (FACTORS, data.text_dim) if data.text_dim else words}
    shapes |= {stream: (FACTORS, getattr(data, f"{stream}_dim")) for stream in ("audio", "visual")}
    return Correlated(data, {stream: draws.standard_normal(shape) for stream, shape in shapes.items()})


@lru_cache(maxsize=2048)
def _inertia(steps: int, kept: float) -> Float[np.ndarray, "steps steps"]:
    """Row t sums noise into x_t = kept x_(t-1) + (1 - kept) noise_t; the first is drawn at the walk's own spread."""
    lag = np.subtract.outer(np.arange(steps), np.arange(steps))
    weights = np.where(lag >= 0, (1 - kept) * kept ** np.maximum(lag, 0), 0.0)
    weights[:, 0] *= 1 / np.sqrt(1 - kept**2)
    return weights.astype(np.float32)
