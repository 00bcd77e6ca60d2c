"""Which .csd file of a folder is which stream, and which video is in which fold."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from gonogo.errors import SubjectError
from gonogo_recipes.maft.corpora.csd_file import Csd, open_csd
from gonogo_recipes.maft.samples import SPLITS
from gonogo_recipes.maft.settings import DataSettings

FOLDS = "folds.json"
_MOST = 10_000_000  # characters of folds.json
# What the files of the SDK's own recipes are called.
_NAMES = {
    "labels": ("label",),
    "text": ("word", "glove", "text", "bert"),
    "audio": ("covarep", "audio", "acoustic", "opensmile"),
    "visual": ("facet", "visual", "vision", "openface"),
}


@dataclass(frozen=True, slots=True)
class Folder:
    """The opened files of a corpus."""

    streams: dict[str, Csd]
    labels: Csd
    folds: dict[str, list[str]]


def open_folder(path: Path, data: DataSettings) -> Folder:
    """The files of a corpus, by what they are called and how many columns they have.

    Raises:
        SubjectError: A file is missing, or two would do; folds are missing or overlap.
    """
    if not path.is_dir():
        raise SubjectError(f"{path} is no folder; csd reads a folder of .csd files with {FOLDS}")
    files = [open_csd(file, path) for file in sorted(path.glob("*.csd"))]
    labels = _the_one(path, files, "labels", None)
    if labels.width not in (1, 7):
        raise SubjectError(f"{labels.path}: {labels.width} labels per segment; 1 (MOSI) or 7 (MOSEI) were expected")
    widths = {"text": data.text_dim, "audio": data.audio_dim, "visual": data.visual_dim}
    streams = {stream: _the_one(path, files, stream, width) for stream, width in widths.items()}
    return Folder(streams, labels, folds(path / FOLDS))


def folds(path: Path) -> dict[str, list[str]]:
    """The videos of each split, pairwise disjoint.

    Raises:
        SubjectError: The file is missing, not of this form, or a video is in two splits.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8")[:_MOST])
    except (OSError, ValueError, RecursionError) as error:
        raise SubjectError(
            f"{path} cannot be read ({error}); give the videos of each of {', '.join(SPLITS)} as JSON"
        ) from None
    found = {split: content.get(split) for split in SPLITS} if isinstance(content, dict) else {}
    lists = {split: videos for split, videos in found.items() if isinstance(videos, list)}
    if set(lists) != set(SPLITS) or not all(isinstance(video, str) for videos in lists.values() for video in videos):
        raise SubjectError(f'{path}: {{"train": [videos], "valid": [...], "test": [...]}} was expected')
    twice = [
        video for video, count in Counter(v for videos in lists.values() for v in set(videos)).items() if count > 1
    ]
    if twice:
        raise SubjectError(
            f"{path}: {len(twice)} videos are in two splits ({', '.join(sorted(twice)[:5])}); keep each in one"
        )
    return lists


def _the_one(path: Path, files: list[Csd], kind: str, width: int | None) -> Csd:
    """The file of a stream: words where ids are wanted (width 0), else features of the wanted width."""
    named = [item for item in files if any(word in item.path.stem.lower() for word in _NAMES[kind])]
    labelled = [
        item for item in named if kind == "labels" or not any(w in item.path.stem.lower() for w in _NAMES["labels"])
    ]
    fitting = [item for item in labelled if width is None or (item.is_text if not width else item.width == width)]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(f"{item.path.name} ({'words' if item.is_text else item.width})" for item in files) or "none"
    wanted = "" if width is None else f" of {width} columns" if width else " of words"
    setting = "" if width is None else f"; set data.{kind}_dim to the columns of the file (0 for words)"
    names = ", ".join(_NAMES[kind])
    raise SubjectError(
        f"{path}: {len(fitting)} files with {kind}{wanted} were found; one was expected, named after one of "
        f"{names}{setting}. There are: {listed}"
    )
