"""Pickles of MMSA (CMU-MOSI, CMU-MOSEI), aligned and unaligned.

Each of train, valid and test is a dict of

| field | shape | |
|---|---|---|
| text | [n, 50, 768] | BERT; its rows after the end are not zero, so the end is read from text_bert |
| text_bert | [n, 3, 50] | ids, attention mask, segments |
| audio, vision | [n, steps, columns] | padded at the end; audio holds -inf |
| audio_lengths, vision_lengths | n numbers | unaligned files alone |
| regression_labels | [n] | in [-3, 3] |
| id | n texts | video$_$clip |

Source: thuiar/MMSA, README and data_loader.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from gonogo.audit import pickles
from gonogo_recipes.maft.corpora import padding
from gonogo_recipes.maft.corpora.padded import Block, Padded, array, groups, splits
from gonogo_recipes.maft.samples import Sample
from gonogo_recipes.maft.settings import DataSettings

# The starts of the SHA-256 of the files as MMSA distributes them.
OFFICIAL = {
    "78e0f8b5": "MOSI unaligned",
    "d3994fd2": "MOSI aligned",
    "ad8b23d5": "MOSEI unaligned",
    "45eccfb7": "MOSEI aligned",
}


def read(path: Path, data: DataSettings) -> dict[str, Dataset[Sample]]:
    """The splits of an MMSA pickle; text is ids where data.text_dim is 0, else BERT's features.

    Raises:
        SubjectError: The file breaks the contract above.
    """
    return {split: _split(split, fields, data) for split, fields in splits(path, "MMSA")}


def official(path: Path) -> str | None:
    """Which file of MMSA this is, byte for byte; None for any other. Reads the whole file."""
    return OFFICIAL.get(pickles.sha256(path)[:8])


def _split(split: str, fields: Mapping[str, Any], data: DataSettings) -> Padded:
    text = _text(split, fields, data)
    blocks = {"text": text}
    for stream, name in (("audio", "audio"), ("visual", "vision")):
        content = array(split, fields, name, (3,))
        blocks[stream] = Block(content, _spans(split, name, content, fields, text))
    scores = array(split, fields, "regression_labels", (1,)).astype(np.float64)
    return Padded(split, blocks, scores, groups(fields), data)


def _text(split: str, fields: Mapping[str, Any], data: DataSettings) -> Block:
    if data.text_dim and "text_bert" not in fields:
        content = array(split, fields, "text", (3,))
        return Block(content, padding.spans(f"{split}.text", content, "end"))
    rows = array(split, fields, "text_bert", (3,))
    spans = padding.of_mask(f"{split}.text_bert", rows[:, 1])
    return Block(array(split, fields, "text", (3,)) if data.text_dim else rows[:, 0], spans)


def _spans(split: str, name: str, content: np.ndarray, fields: Mapping[str, Any], text: Block) -> padding.Spans:
    """By the given lengths; in an aligned file step i of every stream is word i."""
    if f"{name}_lengths" in fields:
        lengths = array(split, fields, f"{name}_lengths", (1,)).astype(int)
        return padding.of_lengths(f"{split}.{name}", content, lengths)
    own = padding.spans(f"{split}.{name}", content, "end")
    return text.spans if content.shape[:2] == text.content.shape[:2] else own
