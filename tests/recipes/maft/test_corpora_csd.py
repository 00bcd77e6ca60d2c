"""Folders of .csd files, written in the SDK's layout."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from tests.recipes.maft import files

from gonogo.errors import SubjectError
from gonogo_recipes.maft.batch import present
from gonogo_recipes.maft.corpora import csd_file
from gonogo_recipes.maft.corpora.csd_file import open_csd
from gonogo_recipes.maft.data import collate, datasets, loader

pytestmark = pytest.mark.requirement("MAFT-1.8")
AUDIO, LABELS = "CMU_MOSEI_COVAREP", "CMU_MOSEI_Labels"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return files.csd(tmp_path / "mosei")


def opened(folder: Path, **more: Any) -> Any:
    return datasets(files.settings("csd", path=folder, **more))


def change(folder: Path, name: str, how: Callable[[h5py.File], None]) -> Path:
    with h5py.File(folder / f"{name}.csd", "r+") as file:
        how(file)
    return folder


def test_a_sample_is_a_labelled_segment_with_what_lies_in_it(folder: Path) -> None:
    splits = opened(folder)
    assert [len(splits[split]) for split in ("train", "valid", "test")] == [8, 2, 2]
    clip = splits["train"][5]  # the second segment of video2
    with h5py.File(folder / f"{AUDIO}.csd") as file:
        np.testing.assert_array_equal(clip["audio"], file[f"{AUDIO}/data/video2/features"][20:])
    assert (len(clip["text"]), len(clip["audio"]), len(clip["visual"])) == (5, 20, 10)
    assert (clip["score"], clip["group"]) == (-1.0, "video2")


def test_times_are_fractions_of_the_segment(folder: Path) -> None:
    clip = opened(folder)["train"][1]
    assert clip["text_time"].tolist() == pytest.approx([0.1, 0.3, 0.5, 0.7, 0.9])
    assert clip["audio_time"].tolist() == pytest.approx(np.linspace(0.025, 0.975, 20).tolist(), abs=1e-6)


def test_frames_are_averaged_over_each_word(folder: Path) -> None:
    plain, aligned = (opened(folder, align_words=align)["train"][0] for align in (False, True))
    assert torch.equal(aligned["audio_time"], aligned["text_time"])
    torch.testing.assert_close(aligned["audio"], plain["audio"].reshape(5, 4, 74).mean(1))


def test_a_word_without_frames_is_not_valid_there(folder: Path) -> None:
    def late(file: h5py.File) -> None:
        file[f"{AUDIO}/data/video0/intervals"][:20] = np.linspace(2, 5, 21)[np.array([range(20), range(1, 21)]).T]

    clip = opened(change(folder, AUDIO, late), align_words=True)["train"][0]
    assert clip["audio_mask"].tolist() == [False, False, True, True, True]


def test_words_are_ids_by_how_often_train_has_them_without_pauses(tmp_path: Path) -> None:
    folder = files.csd(tmp_path / "words", words=True)

    def new_word(file: h5py.File) -> None:
        name = "CMU_MOSEI_TimestampedWords"
        file[f"{name}/data/video5/features"][0] = b"unheard"[:5]

    splits = opened(change(folder, "CMU_MOSEI_TimestampedWords", new_word), text_dim=0)
    assert splits["train"][0]["text"].tolist() == [2, 3, 4, 5]
    assert splits["test"][0]["text"].tolist() == [1, 3, 4, 5]
    assert splits["train"][0]["text_time"].tolist() == pytest.approx([0.1, 0.3, 0.5, 0.7])


def test_a_video_that_a_stream_lacks_has_no_such_modality(folder: Path) -> None:
    change(folder, AUDIO, lambda file: file.__delitem__(f"{AUDIO}/data/video5"))
    assert present(collate([opened(folder)["test"][0]])).tolist() == [[True, False, True]]
    aligned = opened(folder, align_words=True)["test"][0]
    assert aligned["audio"].shape == (5, 74)
    assert not aligned["audio_mask"].any()


def test_values_that_are_no_numbers_are_refused_or_masked(folder: Path) -> None:
    def silent(file: h5py.File) -> None:
        file[f"{AUDIO}/data/video4/features"][:3, 7] = -np.inf

    with pytest.raises(SubjectError, match=r"'valid' .* audio column 7: 3 -inf"):
        opened(change(folder, AUDIO, silent))
    split = opened(folder, nonfinite="mask")["valid"]
    assert split[0]["audio_mask"].tolist() == [False] * 3 + [True] * 17
    assert split[0]["audio"][0, 7] == -torch.inf
    assert opened(folder, nonfinite="mask", align_words=True)["valid"][0]["audio"].isfinite().all()


def test_metadata_is_optional_and_its_joined_key_is_known(folder: Path) -> None:
    sequence = open_csd(folder / f"{AUDIO}.csd", folder)
    assert csd_file.metadata(sequence) == {"root name": AUDIO, "dimension names": ["f0"]}
    assert csd_file.metadata(open_csd(folder / f"{LABELS}.csd", folder)) == {}


def test_segments_as_keys_are_read_like_videos(folder: Path) -> None:
    def per_segment(file: h5py.File) -> None:
        for video in list(file["All Labels/data"]):
            rows = {name: file[f"All Labels/data/{video}/{name}"][:] for name in ("features", "intervals")}
            del file[f"All Labels/data/{video}"]
            for place in range(2):
                files.put(file, "All Labels", f"{video}[{place}]", *(part[place : place + 1] for part in rows.values()))

    whole = [opened(folder)["train"][index] for index in range(8)]
    split = opened(change(folder, LABELS, per_segment))["train"]
    assert [(split[i]["score"], split[i]["group"]) for i in range(8)] == [(c["score"], c["group"]) for c in whole]
    assert torch.equal(split[3]["audio"], whole[3]["audio"])


def test_workers_open_the_files_themselves(folder: Path) -> None:
    data = files.settings("csd", path=folder)
    alone, shared = (list(loader(data, "train", 4, num_workers=workers)) for workers in (0, 2))
    assert all(torch.equal(one["audio"], two["audio"]) for one, two in zip(alone, shared, strict=True))


def test_an_open_file_is_not_part_of_a_copy(folder: Path) -> None:
    sequence = open_csd(folder / f"{AUDIO}.csd", folder)
    sequence.features("video0")
    copied = pickle.loads(pickle.dumps(sequence))
    assert np.array_equal(copied.features("video1"), sequence.features("video1"))


@pytest.mark.parametrize(
    ("folds", "words"),
    [
        ({"train": ["video0"], "valid": ["video0"], "test": ["video1"]}, r"1 videos are in two splits \(video0\)"),
        ({"train": ["video0"], "valid": ["video1"]}, "was expected"),
        ({"train": ["video0"], "valid": ["video1"], "test": ["else"]}, "no video of the fold 'test' has labels"),
        ([1], "was expected"),
    ],
)
def test_folds_that_cannot_be_used_are_refused(folder: Path, folds: Any, words: str) -> None:
    (folder / "folds.json").write_text(json.dumps(folds))
    with pytest.raises(SubjectError, match=words):
        opened(folder)


def test_folds_must_be_given(folder: Path) -> None:
    (folder / "folds.json").unlink()
    with pytest.raises(SubjectError, match=r"folds\.json cannot be read"):
        opened(folder)


def test_a_missing_stream_is_named_with_what_there_is(folder: Path) -> None:
    (folder / f"{AUDIO}.csd").unlink()
    with pytest.raises(SubjectError, match=r"0 files with audio of 74 columns .* CMU_MOSEI_VisualFacet42\.csd \(35\)"):
        opened(folder)


def test_two_files_for_one_stream_are_refused(folder: Path) -> None:
    (folder / "CMU_MOSEI_audio_too.csd").write_bytes((folder / f"{AUDIO}.csd").read_bytes())
    with pytest.raises(SubjectError, match="2 files with audio"):
        opened(folder)


def link_out(file: h5py.File) -> None:
    del file[f"{AUDIO}/data/video0/features"]
    file[f"{AUDIO}/data/video0/features"] = h5py.ExternalLink("/etc/passwd", "/x")


def store_out(file: h5py.File) -> None:
    del file[f"{AUDIO}/data/video0/features"]
    out = [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    file.create_dataset(f"{AUDIO}/data/video0/features", (1, 74), dtype="f4", external=out)


def unequal(file: h5py.File) -> None:
    del file[f"{AUDIO}/data/video0/intervals"]
    file[f"{AUDIO}/data/video0/intervals"] = np.zeros((3, 2))


def backwards(file: h5py.File) -> None:
    file[f"{AUDIO}/data/video0/intervals"][0] = [3.0, 1.0]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (link_out, "is a link elsewhere"),
        (store_out, "is stored in another file"),
        (unequal, r"intervals \[3, 2\]; \[n, 74\] and \[n, 2\] were expected"),
        (backwards, "ends before it starts"),
        (lambda file: file.__delitem__(f"{AUDIO}/data/video0/intervals"), "has no 'intervals'"),
        (lambda file: file.move(f"{AUDIO}/data", f"{AUDIO}/values"), "has no 'data'"),
        (lambda file: file.__setitem__("more", [1]), "one group at the top was expected"),
    ],
)
def test_a_file_that_breaks_the_layout_is_refused(folder: Path, how: Callable[[h5py.File], None], words: str) -> None:
    change(folder, AUDIO, how)
    with pytest.raises(SubjectError, match=words):
        opened(folder)


def test_a_truncated_file_is_said_to_be_unreadable(folder: Path) -> None:
    file = folder / f"{AUDIO}.csd"
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(SubjectError, match="cannot be read as HDF5"):
        opened(folder)


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    file = folder / f"{AUDIO}.csd"
    file.rename(tmp_path / "elsewhere.csd")
    file.symlink_to(tmp_path / "elsewhere.csd")
    with pytest.raises(SubjectError, match="is a link to"):
        opened(folder)


def test_a_read_larger_than_memory_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def declare(file: h5py.File) -> None:  # HDF5 stores nothing for chunks that were never written
        del file[f"{AUDIO}/data/video0"]
        file.create_dataset(f"{AUDIO}/data/video0/features", (10**12, 74), dtype="f4", chunks=(1000, 74))
        file.create_dataset(f"{AUDIO}/data/video0/intervals", (10**12, 2), dtype="f8", chunks=(1000, 2))

    change(folder, AUDIO, declare)
    with pytest.raises(SubjectError, match=r"intervals needs 14\.55 TiB of memory"):
        opened(folder)


def test_a_sentiment_out_of_range_is_refused(folder: Path) -> None:
    change(folder, LABELS, lambda file: file["All Labels/data/video0/features"].__setitem__((0, 0), np.nan))
    with pytest.raises(SubjectError, match=r"sentiment nan is not in \[-3, 3\]"):
        opened(folder)
