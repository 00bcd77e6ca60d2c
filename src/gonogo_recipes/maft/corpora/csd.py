"""Folders of .csd files of the CMU Multimodal SDK: words or word vectors, audio, visual, labels, and folds.

A sample is one labelled segment of a video: the words and frames whose middle lies in it, each with its own time, at
its own rate. A video that a stream lacks gives samples without that modality. `folds.json` is {"train": [videos],
"valid": [...], "test": [...]}: the SDK keeps the standard folds in its code, so the user gives them. Files are read
piece by piece.

Source: CMU-MultiComp-Lab/CMU-MultimodalSDK, mmsdk/mmdatasdk.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.utils.data import Dataset

from gonogo.errors import SubjectError
from gonogo_recipes.maft.batch import STREAMS
from gonogo_recipes.maft.corpora import nonfinite
from gonogo_recipes.maft.corpora.csd_file import Csd
from gonogo_recipes.maft.corpora.csd_folder import Folder, open_folder
from gonogo_recipes.maft.samples import SPLITS, Sample, sample
from gonogo_recipes.maft.settings import DataSettings

LABELS = ("sentiment", "happy", "sad", "anger", "surprise", "disgust", "fear")  # of MOSEI; MOSI has the first alone
UNKNOWN = 1  # the id of a word that train does not have often enough; 0 is padding
PAUSE = "sp"  # a word of the aligner, not of the speaker


class Segment(NamedTuple):
    """A labelled piece of a video."""

    video: str
    start: float
    end: float
    score: float


class Steps(NamedTuple):
    """What one stream has of a segment."""

    content: np.ndarray  # [n, columns] float32, or [n] words
    intervals: Float[np.ndarray, "n 2"]
    valid: Bool[np.ndarray, " n"]


def read(path: Path, data: DataSettings) -> dict[str, Dataset[Sample]]:
    """The splits of a folder of .csd files.

    Raises:
        SubjectError: Files are missing, ambiguous or damaged, folds overlap, or values are no numbers and refused.
    """
    folder = open_folder(path, data)
    segments = {split: list(_segments(folder, folder.folds[split])) for split in SPLITS}
    for split, found in segments.items():
        if not found:
            raise SubjectError(
                f"{path}: no video of the fold {split!r} has labels; folds.json must name videos as the files do"
            )
    words = _vocabulary(folder.streams["text"], segments["train"], data.vocab_size)
    return {split: Segments(split, folder.streams, found, words, data) for split, found in segments.items()}


def _segments(folder: Folder, videos: Sequence[str]) -> Iterator[Segment]:
    """The labelled segments of some videos; keys may be videos, or segments written as 'video[3]'."""
    wanted = set(videos)
    for key in sorted(key for key in folder.labels.videos if _video(key) in wanted):
        labels = folder.labels.features(key)
        for (start, end), row in zip(folder.labels.intervals(key), labels, strict=True):
            if not abs(row[0]) <= 3:
                raise SubjectError(f"{folder.labels.path.name}, {key}: sentiment {row[0]} is not in [-3, 3]")
            if end > start:
                yield Segment(key, float(start), float(end), float(row[0]))


def _video(key: str) -> str:
    """'abc' of 'abc[3]'."""
    return key.partition("[")[0] if key.endswith("]") else key


def _steps(csd: Csd, segment: Segment) -> Steps:
    """The rows whose middle lies in the segment; none where the stream lacks the video."""
    key = segment.video if segment.video in csd.videos else _video(segment.video)
    if key not in csd.videos:
        content = np.zeros(0, dtype=object) if csd.is_text else np.zeros((0, csd.width), dtype=np.float32)
        return Steps(content, np.zeros((0, 2)), np.zeros(0, dtype=bool))
    intervals = csd.intervals(key)
    middles = intervals.mean(1)
    rows = np.flatnonzero((middles >= segment.start) & (middles < segment.end))
    cut = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)
    kept = rows - cut.start
    found = csd.features(key, cut)[kept]
    if csd.is_text:
        words = np.array([_word(row) for row in found[:, 0]], dtype=object)
        spoken = words != PAUSE
        return Steps(words[spoken], intervals[rows][spoken], np.ones(int(spoken.sum()), dtype=bool))
    values = nonfinite.numbers(found)
    return Steps(values, intervals[rows], nonfinite.valid(values))


def _word(raw: bytes | str) -> str:
    return (raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)).lower()


def _vocabulary(text: Csd, train: list[Segment], size: int) -> Mapping[str, int]:
    """Ids of the most frequent words of train, the same in every process; none where text is features."""
    if not text.is_text:
        return {}
    counts = Counter(word for segment in train for word in _steps(text, segment).content)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return {word: place for place, word in enumerate(ranked[: max(size - 2, 0)], start=2)}


@dataclass(frozen=True, slots=True)
class _Clip:
    """One segment's streams before they become tensors."""

    segment: Segment
    streams: dict[str, Steps]

    def over_words(self) -> "_Clip":
        """Audio and visual averaged over the frames that touch each word; a word without any is not valid there."""
        words = self.streams["text"]
        averaged = {stream: _averaged(self.streams[stream], words.intervals) for stream in ("audio", "visual")}
        return _Clip(self.segment, {"text": words, **averaged})

    def times(self, stream: str) -> Tensor:
        """The middles of the steps as fractions of the segment."""
        start, end = self.segment.start, self.segment.end
        middles = (self.streams[stream].intervals.mean(1) - start) / (end - start)
        return torch.from_numpy(np.clip(middles, 0, 1).astype(np.float32))


def _averaged(frames: Steps, words: Float[np.ndarray, "n 2"]) -> Steps:
    content = np.zeros((len(words), frames.content.shape[1]), dtype=np.float32)
    valid = np.zeros(len(words), dtype=bool)
    for place, (start, end) in enumerate(words):
        touching = (frames.intervals[:, 0] < end) & (frames.intervals[:, 1] > start) & frames.valid
        if touching.any():
            content[place], valid[place] = frames.content[touching].mean(0), True
    return Steps(content, words, valid)


class Segments(Dataset[Sample]):
    """The labelled segments of one fold."""

    def __init__(
        self,
        split: str,
        streams: Mapping[str, Csd],
        segments: list[Segment],
        words: Mapping[str, int],
        data: DataSettings,
    ) -> None:
        self._streams, self._segments, self._words, self._data = dict(streams), segments, words, data
        self.nonfinite = tuple(
            column
            for stream, csd in self._streams.items()
            if not csd.is_text
            for column in nonfinite.count(stream, (_steps(csd, segment).content for segment in segments))
        )
        nonfinite.judge(split, self.nonfinite, data.nonfinite)

    def __len__(self) -> int:
        return len(self._segments)

    def __getitem__(self, index: int) -> Sample:
        segment = self._segments[index]
        clip = _Clip(segment, {stream: _steps(self._streams[stream], segment) for stream in STREAMS})
        clip = clip.over_words() if self._data.align_words else clip
        return sample(
            {stream: self._tensor(steps.content) for stream, steps in clip.streams.items()},
            segment.score,
            self._data.num_classes,
            times={stream: clip.times(stream) for stream in STREAMS},
            masks={stream: torch.from_numpy(steps.valid) for stream, steps in clip.streams.items()},
            group=_video(segment.video),
        )

    def _tensor(self, content: np.ndarray) -> Tensor:
        if content.ndim == 1:
            return torch.tensor([self._words.get(word, UNKNOWN) for word in content], dtype=torch.int64)
        return torch.from_numpy(np.ascontiguousarray(content))
