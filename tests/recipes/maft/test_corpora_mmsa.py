"""MMSA pickles: eight samples a split in the true layout."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.recipes.maft import files

from gonogo.audit import pickles
from gonogo.errors import SubjectError
from gonogo_recipes.maft.batch import STREAMS, present
from gonogo_recipes.maft.corpora import mmsa
from gonogo_recipes.maft.data import datasets, loader
from gonogo_recipes.maft.model import build_model
from gonogo_recipes.maft.settings import DataSettings, load

pytestmark = pytest.mark.requirement("MAFT-1.8")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "unaligned_50.pkl"


def opened(path: Path, content: Any, protocol: int = 4, **more: Any) -> Any:
    files.written(path, content, protocol)
    return datasets(files.settings("mmsa", path=path, **more))


def refusal(path: Path, content: Any, **more: Any) -> str:
    with pytest.raises(SubjectError) as caught:
        opened(path, content, **more)
    return str(caught.value)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_unaligned_streams_keep_their_own_lengths(path: Path, protocol: int) -> None:
    content = files.mmsa()
    splits = opened(path, content, protocol)
    for split, fields in content.items():
        assert len(splits[split]) == files.COUNT
        for index in range(files.COUNT):
            clip, length = splits[split][index], fields["audio_lengths"][index]
            assert clip["audio"].dtype == torch.float32
            np.testing.assert_array_equal(clip["audio"], fields["audio"][index, :length].astype(np.float32))
            assert len(clip["visual"]) == fields["vision_lengths"][index]
            assert len(clip["text"]) == fields["text_bert"][index, 1].sum()
            assert clip["score"] == pytest.approx(fields["regression_labels"][index])


def test_steps_are_equally_long_parts_of_the_clip(path: Path) -> None:
    clip = opened(path, files.mmsa())["train"][0]
    for stream in STREAMS:
        steps = len(clip[stream])
        np.testing.assert_allclose(clip[f"{stream}_time"], (np.arange(steps) + 0.5) / steps, rtol=1e-6)


def test_aligned_streams_have_the_steps_of_the_words(path: Path) -> None:
    content = files.mmsa(aligned=True)
    content["train"]["audio"][1, :4] = 0  # silence at the start is no padding
    clip = opened(path, content)["train"][1]
    assert len(clip["text"]) == len(clip["audio"]) == len(clip["visual"]) == 12
    assert clip["audio_mask"].all()
    assert torch.equal(clip["text_time"], clip["audio_time"])


def test_text_is_ids_or_features_as_set(path: Path) -> None:
    content = files.mmsa()
    clip = opened(path, content, text_dim=0)["train"][2]
    assert clip["text"].tolist() == content["train"]["text_bert"][2, 0, :5].astype(int).tolist()
    np.testing.assert_array_equal(opened(path, content)["train"][2]["text"], content["train"]["text"][2, :5])


def test_the_group_is_the_video(path: Path) -> None:
    batch = next(iter(loader(files.settings("mmsa", path=files.written(path, files.mmsa())), "valid", 4)))
    assert batch["group"] == ["valid0", "valid0", "valid1", "valid1"]


def test_minus_infinity_is_refused_with_column_and_count(path: Path) -> None:
    content = files.mmsa()
    content["train"]["audio"][0, :2, 11] = -np.inf
    content["train"]["vision"][1, 0, 3] = np.nan
    message = refusal(path, content)
    assert "audio column 11: 2 -inf; visual column 3: 1 nan" in message
    assert "nonfinite: mask" in message


def test_masked_steps_are_invalid_and_their_content_is_as_in_the_file(path: Path) -> None:
    content = files.mmsa()
    content["train"]["audio"][0, 1, 11] = -np.inf
    split = opened(path, content, nonfinite="mask")["train"]
    assert split[0]["audio_mask"].tolist()[:3] == [True, False, True]
    assert split[0]["audio"][1, 11] == -torch.inf
    (column,) = split.inner.nonfinite
    assert (column.stream, column.column, column.below) == ("audio", 11, 1)


def test_a_modality_of_which_nothing_is_a_number_is_absent(path: Path) -> None:
    content = files.mmsa()
    content["test"]["vision"][3] = np.nan
    content["test"]["vision_lengths"][3] = 20
    data = files.settings("mmsa", path=files.written(path, content), nonfinite="mask")
    batch = next(iter(loader(data, "test", 8)))
    assert present(batch)[:, 2].tolist() == [True, True, True, False, True, True, True, True]


def test_padding_at_the_front_is_refused(path: Path) -> None:
    content = files.mmsa()
    content["valid"]["audio"] = content["valid"]["audio"][:, ::-1].copy()
    assert "padded at the front" in refusal(path, content)
    del content["valid"]["audio_lengths"]
    assert "valid.audio is padded at the front, and this format pads at the end" in refusal(path, content)


def test_content_after_the_stated_length_is_refused(path: Path) -> None:
    content = files.mmsa()
    content["train"]["vision_lengths"][2] = 1
    assert "sample 2 has content after its length of 1" in refusal(path, content)


def test_an_attention_mask_with_holes_is_refused(path: Path) -> None:
    content = files.mmsa()
    content["train"]["text_bert"][0, 1, :3] = [1, 0, 1]
    assert "not ones, then zeros" in refusal(path, content)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda fields: fields.pop("vision"), "train.vision is missing"),
        (lambda fields: fields.update(audio=fields["audio"][:5]), "train.audio has 5 samples|5 samples of at most"),
        (lambda fields: fields.update(regression_labels=np.full(8, 9.0)), r"scores lie in \[-3, 3\]; sample 0 has 9"),
        (lambda fields: fields.update(vision=fields["vision"][..., :20]), "35; set it to 20"),
        (lambda fields: fields.update(audio="none"), "train.audio has type <U4"),
        (lambda fields: fields.update(id=["a"]), "1 ids and 8 scores"),
        (lambda fields: fields.update(audio_lengths=[99] * 8), "8 lengths from 99 to 99"),
    ],
)
def test_a_field_that_breaks_the_contract_is_named(path: Path, change: Any, words: str) -> None:
    content = files.mmsa()
    change(content["train"])
    with pytest.raises(SubjectError, match=words):
        opened(path, content)


def test_another_layout_is_said_with_what_was_found(path: Path) -> None:
    assert "found the keys ['x']" in refusal(path, {"x": 1})
    assert "found list" in refusal(path, [1, 2])


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch evil-was-here",)


def test_a_file_that_would_run_code_is_refused_by_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    content = files.mmsa()
    content["train"]["raw_text"][0] = Evil()  # type: ignore[assignment]
    assert "posix.system" in refusal(path, content)
    assert not (path.parent / "evil-was-here").exists()


def test_a_file_larger_than_memory_is_refused_before_it_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "free_memory", lambda: 100_000)
    assert "of memory, and 97.66 KiB are free" in refusal(path, files.mmsa())


def test_official_files_are_known_by_their_digest(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.written(path, files.mmsa())
    assert mmsa.official(path) is None
    monkeypatch.setattr(pickles, "sha256", lambda _: "ad8b23d5" + "0" * 56)
    assert mmsa.official(path) == "MOSEI unaligned"


def test_samples_are_the_same_from_workers(path: Path) -> None:
    data: DataSettings = files.settings("mmsa", path=files.written(path, files.mmsa()))
    alone, shared = (list(loader(data, "train", 4, num_workers=workers)) for workers in (0, 2))
    assert all(torch.equal(one["audio"], two["audio"]) for one, two in zip(alone, shared, strict=True))


def test_the_model_takes_a_batch_with_masked_infinities(path: Path) -> None:
    content = files.mmsa()
    content["train"]["audio"][:, 0, 11] = -np.inf
    data = {"task": "mmsa", "path": files.written(path, content), "nonfinite": "mask"}
    settings = load({"size": "tiny", "data": data, "model": {"text_dim": 6}})
    outputs = build_model(settings)(next(iter(loader(settings.data, "train", 8))))
    assert outputs["logits"].isfinite().all()
    assert outputs["regression"].isfinite().all()
