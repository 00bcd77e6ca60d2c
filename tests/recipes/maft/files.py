"""Small files of the corpora's true layouts: eight samples a split."""

import json
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gonogo_recipes.maft.settings import DataSettings

COUNT = 8
SPLITS = ("train", "valid", "test")
Content = dict[str, dict[str, Any]]


def settings(task: str, **more: Any) -> DataSettings:
    """Data settings of a corpus whose text is features of 6 columns, unless said otherwise."""
    return DataSettings.model_validate({"task": task, "text_dim": 6, **more})


def written(path: Path, content: Any, protocol: int = 4) -> Path:
    """A pickle of it."""
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def _features(draws: np.random.Generator, lengths: list[int], longest: int, width: int, *, front: bool) -> np.ndarray:
    content = np.zeros((len(lengths), longest, width))
    for place, length in enumerate(lengths):
        content[place, longest - length if front else 0 :][:length] = draws.normal(size=(length, width))
    return content


def mmsa(*, aligned: bool = False, seed: int = 0) -> Content:
    """MMSA: padded at the end; unaligned files have lengths."""
    return {
        split: _mmsa_split(np.random.default_rng([seed, place]), split, aligned) for place, split in enumerate(SPLITS)
    }


def _mmsa_split(draws: np.random.Generator, split: str, aligned: bool) -> dict[str, Any]:
    words = [3, 12, 5, 7, 4, 9, 2, 6]
    mask = np.arange(12) < np.array(words)[:, None]
    ids = np.where(mask, draws.integers(1, 200, (COUNT, 12)), 0)
    text = draws.normal(size=(COUNT, 12, 6)).astype(np.float32)  # BERT says something after the end, too
    fields: dict[str, Any] = {
        "raw_text": [f"clip {place}" for place in range(COUNT)],
        "id": [f"{split}{place // 2}$_${place}" for place in range(COUNT)],
        "text": text,
        "text_bert": np.stack([ids, mask, np.zeros_like(ids)], axis=1).astype(np.float64),
        "annotations": ["Positive"] * COUNT,
        "regression_labels": np.linspace(-3, 3, COUNT).astype(np.float32),
    }
    for name, width, longest in (("audio", 74, 30), ("vision", 35, 20)):
        lengths = words if aligned else [1 + int(n * longest / 13) for n in words]
        fields[name] = _features(draws, lengths, 12 if aligned else longest, width, front=False)
        if not aligned:
            fields[f"{name}_lengths"] = lengths
    return fields


def mult(*, aligned: bool = False, seed: int = 0, labels: int = 1) -> Content:
    """MulT and MultiBench: padded at the front."""
    content: Content = {}
    for place, split in enumerate(SPLITS):
        draws, words = np.random.default_rng([seed, place]), [3, 12, 5, 7, 4, 9, 2, 6]
        content[split] = {
            "text": _features(draws, words, 12, 6, front=True).astype(np.float32),
            "audio": _features(
                draws, words if aligned else [2 * n for n in words], 12 if aligned else 30, 74, front=True
            ),
            "vision": _features(
                draws, words if aligned else [n + 1 for n in words], 12 if aligned else 20, 35, front=True
            ),
            "labels": np.repeat(np.linspace(-3, 3, COUNT), labels).reshape(COUNT, 1, labels),
            "id": np.array([[f"{split}{n // 2}".encode(), b"0.0", b"4.2"] for n in range(COUNT)]),
        }
    return content


def csd(folder: Path, *, words: bool = False) -> Path:
    """A folder of the SDK: 6 videos of two labelled segments of 5 s, each of 5 words, 20 audio and 10 visual frames."""
    folder.mkdir()
    videos = [f"video{place}" for place in range(6)]
    draws = np.random.default_rng(0)
    text = "CMU_MOSEI_TimestampedWords" if words else "CMU_MOSEI_TimestampedWordVectors"
    for name, width, rows in (
        (text, 1 if words else 6, 10),
        ("CMU_MOSEI_COVAREP", 74, 40),
        ("CMU_MOSEI_VisualFacet42", 35, 20),
    ):
        with h5py.File(folder / f"{name}.csd", "w") as file:
            for video in videos:
                ends = np.linspace(0, 10, rows + 1)
                values = draws.normal(size=(rows, width)).astype(np.float32)
                content = (
                    np.array([[b"sp" if n % 5 == 4 else b"word%d" % (n % 4)] for n in range(rows)])
                    if width == 1
                    else values
                )
                put(file, name, video, content, np.stack([ends[:-1], ends[1:]], -1))
            metadata(file, name)
    with h5py.File(folder / "CMU_MOSEI_Labels.csd", "w") as file:
        for place, video in enumerate(videos):
            labels = np.zeros((2, 7), dtype=np.float32)
            labels[:, 0] = [place / 2, -place / 2]
            put(file, "All Labels", video, labels, np.array([[0.0, 5.0], [5.0, 10.0]]))
    folds = {"train": videos[:4], "valid": videos[4:5], "test": videos[5:]}
    (folder / "folds.json").write_text(json.dumps(folds))
    return folder


def put(file: h5py.File, name: str, video: str, features: np.ndarray, intervals: np.ndarray) -> None:
    """One video of a sequence."""
    file[f"{name}/data/{video}/features"] = features
    file[f"{name}/data/{video}/intervals"] = intervals


def metadata(file: h5py.File, name: str) -> None:
    """What the SDK writes, with the key that lacks a comma, and one value that is no JSON."""
    texts = {"root name": f'"{name}"', "dimension namescomputational sequence version": '["f0"]', "creator": "{"}
    for key, text in texts.items():
        file.create_dataset(f"{name}/metadata/{key}", data=np.array([text.encode()]))
