"""Splits that are arrays of padded samples, as the pickles of MMSA, MulT and MultiBench hold them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch.utils.data import Dataset

from gonogo.audit import pickles
from gonogo.errors import SubjectError, did_you_mean
from gonogo_recipes.maft.batch import STREAMS
from gonogo_recipes.maft.corpora import nonfinite
from gonogo_recipes.maft.corpora.padding import Spans
from gonogo_recipes.maft.samples import SPLITS, Sample, sample
from gonogo_recipes.maft.settings import DataSettings


@dataclass(frozen=True, slots=True)
class Block:
    """One stream of a split: [n, steps] ids or [n, steps, columns], and where each sample lies in it."""

    content: np.ndarray
    spans: Spans

    def of(self, index: int) -> np.ndarray:
        """The steps of one sample, float32 or int64, in memory of their own."""
        start, stop = (int(ends[index]) for ends in self.spans)
        steps = self.content[index, start:stop]
        return steps.astype(np.int64) if self.content.ndim == 2 else np.array(nonfinite.numbers(steps))


class Padded(Dataset[Sample]):
    """A split of padded samples; times are those of equally long steps, which is all that such files keep."""

    def __init__(
        self,
        split: str,
        blocks: Mapping[str, Block],
        scores: Float[np.ndarray, " n"],
        groups: list[str],
        data: DataSettings,
    ) -> None:
        self._blocks, self._scores, self._groups, self._data = dict(blocks), scores, groups, data
        self._agree(split)
        features = {stream: block for stream, block in self._blocks.items() if block.content.ndim == 3}
        self.nonfinite = tuple(
            column
            for stream, block in features.items()
            for column in nonfinite.count(stream, (block.of(index) for index in range(len(self))))
        )
        nonfinite.judge(split, self.nonfinite, data.nonfinite)

    def __len__(self) -> int:
        return len(self._scores)

    def __getitem__(self, index: int) -> Sample:
        steps = {stream: self._blocks[stream].of(index) for stream in STREAMS}
        masks = {
            stream: torch.from_numpy(nonfinite.valid(values)) if values.ndim == 2 else torch.ones(len(values)).bool()
            for stream, values in steps.items()
        }
        contents = {stream: torch.from_numpy(values) for stream, values in steps.items()}
        group = self._groups[index] if self._groups else None
        return sample(contents, float(self._scores[index]), self._data.num_classes, masks=masks, group=group)

    def _agree(self, split: str) -> None:
        """One row per sample everywhere, finite scores in [-3, 3], the widths that the model expects."""
        for stream, block in self._blocks.items():
            width, rows = getattr(self._data, f"{stream}_dim"), len(block.content)
            found = block.content.shape[2] if block.content.ndim == 3 else 0
            if found != width:
                raise SubjectError(
                    f"{split}.{stream} has {found} columns and data.{stream}_dim is {width}; set it to {found}"
                )
            if rows != len(self._scores):
                raise SubjectError(f"{split}.{stream} has {rows} samples and there are {len(self._scores)} scores")
        if self._groups and len(self._groups) != len(self._scores):
            raise SubjectError(f"{split}: there are {len(self._groups)} ids and {len(self._scores)} scores")
        wrong = ~(np.abs(self._scores) <= 3)
        if wrong.any():
            found = f"sample {int(wrong.argmax())} has {self._scores[wrong][0]:g}"
            raise SubjectError(f"{split}: scores lie in [-3, 3]; {found}")


def splits(path: Any, format_name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(split, fields) of a pickle {train, valid, test}.

    Raises:
        SubjectError: It is not laid out like this, or cannot be read safely.
    """
    content = pickles.load(path)
    for split in SPLITS:
        fields = content.get(split) if isinstance(content, dict) else None
        if not isinstance(fields, dict):
            found = f"the keys {sorted(map(str, content))[:8]}" if isinstance(content, dict) else type(content).__name__
            raise SubjectError(
                f"{path}: {format_name} holds a dict of fields for each of {', '.join(SPLITS)}; found {found}"
            )
        yield split, fields


def array(split: str, fields: Mapping[str, Any], name: str, axes: tuple[int, ...]) -> np.ndarray:
    """A field as an array of numbers with one of these numbers of axes.

    Raises:
        SubjectError: It is missing, or of another kind.
    """
    if name not in fields:
        known = sorted(map(str, fields))
        raise SubjectError(f"{split}.{name} is missing; there are {', '.join(known)}.{did_you_mean(name, known)}")
    found = np.asarray(fields[name])
    if found.dtype.kind not in "biuf" or found.ndim not in axes:
        raise SubjectError(
            f"{split}.{name} has type {found.dtype} and shape {list(found.shape)}; "
            f"numbers with {' or '.join(map(str, axes))} axes were expected"
        )
    return found


def groups(fields: Mapping[str, Any], name: str = "id") -> list[str]:
    """Who speaks in each sample, from ids such as 'video$_$clip' or rows of [video, start, end]; empty without ids."""
    found = fields.get(name)
    rows = found.tolist() if isinstance(found, np.ndarray) else list(found) if isinstance(found, list | tuple) else []
    return [_text(row[0] if isinstance(row, list | tuple) else row).split("$_$")[0] for row in rows]


def _text(item: Any) -> str:
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
