"""Pickles of MulT: text [n, steps, 300], audio [n, steps, 74], vision [n, steps, 35], labels [n, 1, 1], id [n, 3].

They are padded at the front. In an aligned file all streams have the same number of steps, and step i of each is one
word. Source: yaohungt/Multimodal-Transformer, src/dataset.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch.utils.data import Dataset

from gonogo.errors import SubjectError
from gonogo_recipes.maft.corpora import padding
from gonogo_recipes.maft.corpora.padded import Block, Padded, array, groups, splits
from gonogo_recipes.maft.samples import Sample
from gonogo_recipes.maft.settings import DataSettings

_NAMES = {"text": "text", "audio": "audio", "visual": "vision"}


def read(path: Path, data: DataSettings, format_name: str = "MulT") -> dict[str, Dataset[Sample]]:
    """The splits of a MulT pickle.

    Raises:
        SubjectError: The file breaks the contract above.
    """
    return {split: _split(split, fields, data) for split, fields in splits(path, format_name)}


def _split(split: str, fields: Mapping[str, Any], data: DataSettings) -> Padded:
    contents = {stream: array(split, fields, name, (3,)) for stream, name in _NAMES.items()}
    spans = {stream: padding.spans(f"{split}.{_NAMES[stream]}", part, "front") for stream, part in contents.items()}
    if len({part.shape[1] for part in contents.values()}) == 1:  # aligned: the words say where a clip starts
        spans = dict.fromkeys(spans, spans["text"])
    blocks = {stream: Block(contents[stream], spans[stream]) for stream in contents}
    return Padded(split, blocks, _scores(split, fields), groups(fields), data)


def _scores(split: str, fields: Mapping[str, Any]) -> Float[np.ndarray, " n"]:
    """[n] sentiment: the only label, or the first of MOSEI's seven, of which six are emotions."""
    labels = array(split, fields, "labels", (1, 2, 3))
    rows = labels.reshape(len(labels), -1) if len(labels) else np.zeros((0, 1))
    if rows.shape[1] not in (1, 7):
        found = f"{split}.labels has shape {list(labels.shape)}"
        raise SubjectError(f"{found}; one score per sample, or MOSEI's seven labels, was expected")
    return rows[:, 0].astype(np.float64)
