"""Readers of the corpora's own file formats, as distributed: one sample at a time, with true times and nothing cleaned.

| task | file |
|---|---|
| mmsa | pickle of MMSA, aligned or unaligned; padded at the end |
| mult | pickle of MulT; padded at the front |
| multibench | pickle of MultiBench; padded at the front, all streams from the first word on |
| csd | folder of .csd files of the CMU Multimodal SDK, with folds.json |
"""

from importlib import import_module

from torch.utils.data import Dataset

from gonogo.errors import SubjectError
from gonogo_recipes.maft.samples import Sample
from gonogo_recipes.maft.settings import DataSettings

FORMATS = ("mmsa", "mult", "multibench", "csd")


def read(data: DataSettings) -> dict[str, Dataset[Sample]]:
    """The splits of a corpus.

    Raises:
        SubjectError: The file breaks the format's contract; it says where and what was expected.
    """
    if data.task not in FORMATS or data.path is None:
        raise SubjectError(
            f"data.task {data.task} with data.path {data.path}: give one of {', '.join(FORMATS)} and its path"
        )
    try:
        return import_module(f"{__name__}.{data.task}").read(data.path, data)
    except OSError as error:
        raise SubjectError(f"{data.path}: reading failed ({error}); copy or download it again") from None
