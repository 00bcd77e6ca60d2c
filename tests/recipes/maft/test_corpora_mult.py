"""Pickles of MulT and MultiBench: padded at the front."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.recipes.maft import files

from gonogo.errors import SubjectError
from gonogo_recipes.maft.data import collate, datasets

pytestmark = pytest.mark.requirement("MAFT-1.8")
BOTH = pytest.mark.parametrize("task", ["mult", "multibench"])


def opened(folder: Path, task: str, content: Any, **more: Any) -> Any:
    return datasets(files.settings(task, path=files.written(folder / "data.pkl", content), **more))


@BOTH
def test_padding_at_the_front_is_cut_off(tmp_path: Path, task: str) -> None:
    content = files.mult()
    clip = opened(tmp_path, task, content)["train"][2]
    for stream, name, steps in (("text", "text", 5), ("audio", "audio", 10), ("visual", "vision", 6)):
        np.testing.assert_array_equal(clip[stream], content["train"][name][2, -steps:].astype(np.float32))
        assert clip[f"{stream}_mask"].all()
        assert clip[f"{stream}_time"][0] == pytest.approx(0.5 / steps)


@BOTH
def test_aligned_streams_start_with_the_text(tmp_path: Path, task: str) -> None:
    content = files.mult(aligned=True)
    content["train"]["vision"][2, -5:-2] = 0  # no face in the first words
    clip = opened(tmp_path, task, content)["train"][2]
    assert len(clip["text"]) == len(clip["audio"]) == len(clip["visual"]) == 5


@BOTH
def test_a_batch_is_padded_on_the_right_again(tmp_path: Path, task: str) -> None:
    split = opened(tmp_path, task, files.mult())["train"]
    batch = collate([split[0], split[1]])
    assert batch["text_mask"].tolist() == [[True] * 3 + [False] * 9, [True] * 12]
    assert not batch["text"][0, 3:].any()


@BOTH
@pytest.mark.parametrize("labels", [1, 7])
def test_the_score_is_the_first_label_and_the_group_the_video(tmp_path: Path, task: str, labels: int) -> None:
    content = files.mult(labels=labels)
    content["train"]["labels"][..., 1:] = 2.0
    split = opened(tmp_path, task, content)["train"]
    assert [split[index]["score"] for index in range(8)] == pytest.approx(np.linspace(-3, 3, 8).tolist())
    assert [split[index]["group"] for index in (0, 1, 2)] == ["train0", "train0", "train1"]


def test_ids_of_any_form_give_the_video(tmp_path: Path) -> None:
    content = files.mult()
    content["train"]["id"] = [f"abc$_${n}" for n in range(8)]
    del content["valid"]["id"]
    splits = opened(tmp_path, "multibench", content)
    assert splits["train"][5]["group"] == "abc"
    assert "group" not in splits["valid"][0]


@BOTH
def test_a_file_padded_at_the_end_is_refused(tmp_path: Path, task: str) -> None:
    content = {split: {**fields, "text": fields["text"][:, ::-1].copy()} for split, fields in files.mult().items()}
    with pytest.raises(SubjectError, match=r"train\.text is padded at the end, and this format pads at the front"):
        opened(tmp_path, task, content)


def test_labels_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SubjectError, match=r"labels has shape \[8, 1, 4\]"):
        opened(tmp_path, "mult", files.mult(labels=4))


def test_minus_infinity_is_counted_where_it_is_content(tmp_path: Path) -> None:
    content = files.mult()
    content["valid"]["audio"][0, -1, 5] = -np.inf
    with pytest.raises(SubjectError, match=r"'valid' .* audio column 5: 1 -inf"):
        opened(tmp_path, "mult", content)
    assert not opened(tmp_path, "mult", content, nonfinite="mask")["valid"][0]["audio_mask"][-1]


def test_a_sample_of_zeros_lacks_the_modality(tmp_path: Path) -> None:
    content = files.mult()
    content["test"]["vision"][4] = 0
    clip = opened(tmp_path, "mult", content)["test"][4]
    assert clip["visual"].shape == (0, 35)
    assert isinstance(clip["visual"], torch.Tensor)
