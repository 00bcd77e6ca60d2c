"""A batch of three streams: a plain dict of tensors, its keys, and what can be asked of it.

| key | shape | meaning |
|---|---|---|
| text, audio, visual | [b, l] int64 ids, or [b, l, d] float32 | content; arbitrary, even NaN, where the mask is False |
| <stream>_mask | [b, l] bool | True where there is a step; a row of False is an absent modality |
| <stream>_time | [b, l] float32 | time of each step as a fraction of the clip, in [0, 1] |
| <stream>_quality | [b, l] float32, optional | how far a step can be trusted, in (0, 1] |
| label | [b] int64 | class |
| score | [b] float32 | sentiment, in [-3, 3] |
| group | list of b texts, optional | who speaks: what must not be in two splits |
"""

from collections.abc import Collection, Mapping
from itertools import combinations
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Batch = dict[str, Any]

STREAMS = ("text", "audio", "visual")
COMBINATIONS = tuple(kept for size in (3, 2, 1) for kept in combinations(STREAMS, size))  # TAV, TA, TV, AV, T, A, V
LABEL, SCORE, GROUP = "label", "score", "group"


class Stream(NamedTuple):
    """One stream of a batch; l steps for each of b samples."""

    content: Tensor  # [b, l] int64 or [b, l, d] float
    mask: Bool[Tensor, "b l"]
    time: Float[Tensor, "b l"]
    quality: Float[Tensor, "b l"] | None


def mask_key(stream: str) -> str:
    """Where the mask of a stream is."""
    return f"{stream}_mask"


def time_key(stream: str) -> str:
    """Where the times of a stream are."""
    return f"{stream}_time"


def quality_key(stream: str) -> str:
    """Where the quality of a stream is, if it is given."""
    return f"{stream}_quality"


def stream_of(batch: Mapping[str, Any], stream: str) -> Stream:
    """What a batch says about one stream."""
    return Stream(batch[stream], batch[mask_key(stream)], batch[time_key(stream)], batch.get(quality_key(stream), None))


def present(batch: Mapping[str, Any]) -> Bool[Tensor, "b 3"]:
    """Which modalities each sample has, in the order of STREAMS: those with at least one valid step."""
    return torch.stack([batch[mask_key(stream)].any(-1) for stream in STREAMS], -1)


def keep_only(batch: Mapping[str, Any], streams: Collection[str]) -> Batch:
    """The batch with the other modalities absent, by their masks alone; the content stays where it is."""
    absent = {
        mask_key(stream): torch.zeros_like(batch[mask_key(stream)]) for stream in STREAMS if stream not in streams
    }
    return {**batch, **absent}
