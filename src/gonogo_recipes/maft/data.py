"""The splits of a task, generated or read, and loaders over them.

| task | samples |
|---|---|
| correlated, stressed-word | drawn: synthetic, so every result on them is labelled proxy |
| mmsa, mult, multibench | one pickle, as distributed; read without running code from it |
| csd | a folder of .csd files of the CMU Multimodal SDK, and folds.json |
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from gonogo.errors import SubjectError, did_you_mean
from gonogo_recipes.maft import corpora
from gonogo_recipes.maft.batch import GROUP, LABEL, SCORE, STREAMS, Batch, mask_key, quality_key, time_key
from gonogo_recipes.maft.samples import SPLITS, Drawn, Sample
from gonogo_recipes.maft.settings import DataSettings
from gonogo_recipes.maft.stressed_word import stressed_word
from gonogo_recipes.maft.synthetic import correlated

TASKS: dict[str, Callable[[DataSettings], Any]] = {"correlated": correlated, "stressed-word": stressed_word}


def datasets(data: DataSettings) -> dict[str, Dataset[Sample]]:
    """The data set of each split; sample i of a split is always the same.

    Raises:
        SubjectError: The settings do not fit the task, or the files cannot be read as the task's format.
    """
    if data.task not in TASKS:
        found = corpora.read(data)
        return {split: Named(found[split], split, data) for split in SPLITS}
    draw = TASKS[data.task](data)
    sizes = zip(SPLITS, (data.samples, data.valid_samples, data.test_samples), strict=True)
    return {split: Named(Drawn(draw, split, size, data.seed), split, data) for split, size in sizes}


def loader(
    data: DataSettings,
    split: str,
    batch_size: int,
    *,
    num_workers: int | None = None,
    shuffle: bool | None = None,
    generator: torch.Generator | None = None,
    dataset: Dataset[Sample] | None = None,
) -> DataLoader[Sample]:
    """Batches of a split, padded on the right to the longest clip of each.

    Args:
        data: What to read.
        split: train, valid or test.
        batch_size: Samples per batch.
        num_workers: Processes that read; None: as in the settings.
        shuffle: None: only `train`.
        generator: Draws the order; None: a new one from the settings' seed, so that two loaders agree.
        dataset: The split, where it is open already.

    Raises:
        SubjectError: There is no such split. While reading: a sample is wrong; the split, index and field are named.
    """
    if split not in SPLITS:
        raise SubjectError(f"there is no split {split!r}, only {', '.join(SPLITS)}.{did_you_mean(split, SPLITS)}")
    return DataLoader(
        datasets(data)[split] if dataset is None else dataset,
        batch_size=batch_size,
        shuffle=split == "train" if shuffle is None else shuffle,
        num_workers=data.num_workers if num_workers is None else num_workers,
        collate_fn=collate,
        generator=torch.Generator().manual_seed(data.seed) if generator is None else generator,
    )


def collate(samples: Sequence[Sample]) -> Batch:
    """A batch of samples, padded on the right with zeros under a mask of False, at least one step long."""
    batch: Batch = {
        LABEL: torch.tensor([sample[LABEL] for sample in samples]),
        SCORE: torch.tensor([sample[SCORE] for sample in samples], dtype=torch.float32),
    }
    for stream in STREAMS:
        for key in (stream, mask_key(stream), time_key(stream), quality_key(stream)):
            if all(key in sample for sample in samples):
                batch[key] = _padded([sample[key] for sample in samples])
    if all(GROUP in sample for sample in samples):
        batch[GROUP] = [sample[GROUP] for sample in samples]
    return batch


def _padded(parts: list[Tensor]) -> Tensor:
    if not any(len(part) for part in parts):
        parts = [part.new_zeros((1, *part.shape[1:])) for part in parts]
    return pad_sequence(parts, batch_first=True)


class Named(Dataset[Sample]):
    """A split whose errors say where they happened: the split, the index and the field."""

    def __init__(self, inner: Dataset[Sample], split: str, data: DataSettings) -> None:
        self.inner, self.split, self._data = inner, split, data

    def __len__(self) -> int:
        return len(self.inner)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Sample:
        try:
            sample = self.inner[index]
        except IndexError:
            raise  # how a sequence says that it ends
        except Exception as error:
            raise SubjectError(f"split {self.split!r}, sample {index}: {error}") from error
        for stream in STREAMS:
            self._check(stream, sample, index)
        return sample

    def _check(self, stream: str, sample: Sample, index: int) -> None:
        """One length for content, mask and times, and the width that the model expects."""
        width = getattr(self._data, f"{stream}_dim")
        content = sample[stream]
        expected = f"[steps, {width}] features" if width else "[steps] ids"
        if content.dim() != 1 + bool(width) or (width and content.shape[1] != width):
            found = f"{list(content.shape)} was found, {expected} was expected; set data.{stream}_dim"
            raise SubjectError(f"split {self.split!r}, sample {index}, field {stream!r}: {found}")
        for key in (mask_key(stream), time_key(stream)):
            if len(sample[key]) != len(content):
                found = f"{len(sample[key])} steps for {len(content)} of {stream!r}; there must be one for each"
                raise SubjectError(f"split {self.split!r}, sample {index}, field {key!r}: {found}")
        if not width and len(content) and not 0 <= int(content.min()) <= int(content.max()) < self._data.vocab_size:
            found = f"ids from {int(content.min())} to {int(content.max())} for data.vocab_size {self._data.vocab_size}"
            raise SubjectError(
                f"split {self.split!r}, sample {index}, field {stream!r}: {found}; set it above the largest"
            )
