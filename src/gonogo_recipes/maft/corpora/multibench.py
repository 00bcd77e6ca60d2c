"""Pickles of MultiBench (mosi_raw.pkl, mosei_raw.pkl): the fields of MulT, padded at the front.

Its loader cuts every stream where the text starts, since the files are aligned by word; an array that is not is read as
an unaligned one of MulT. Source: pliang279/MultiBench, datasets/affect/get_data.py.
"""

from pathlib import Path

from torch.utils.data import Dataset

from gonogo_recipes.maft.corpora import mult
from gonogo_recipes.maft.samples import Sample
from gonogo_recipes.maft.settings import DataSettings


def read(path: Path, data: DataSettings) -> dict[str, Dataset[Sample]]:
    """The splits of a MultiBench pickle.

    Raises:
        SubjectError: The file breaks the format's contract.
    """
    return mult.read(path, data, "MultiBench")
