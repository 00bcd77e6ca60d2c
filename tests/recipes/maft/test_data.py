"""Loaders: padding, batch sizes, workers, order, and errors that say where."""

from typing import Any

import pytest
import torch

from gonogo.errors import SubjectError
from gonogo_recipes.maft.batch import STREAMS, mask_key, present, quality_key, time_key
from gonogo_recipes.maft.data import Named, collate, datasets, loader
from gonogo_recipes.maft.samples import Drawn, Sample, sample
from gonogo_recipes.maft.settings import DataSettings, load
from gonogo_recipes.maft.stressed_word import stressed_word

DATA = DataSettings(samples=24, valid_samples=9, test_samples=5)


def clip(text: int = 2, audio: int = 3, visual: int = 1, score: float = 1.0, **more: Any) -> Sample:
    contents = {"text": torch.ones(text).long(), "audio": torch.ones(audio, 74), "visual": torch.ones(visual, 35)}
    return sample(contents, score, 2, **more)


@pytest.mark.requirement("MAFT-1.6", "MAFT-7.1")
@pytest.mark.parametrize("batch_size", [1, 4, 16])
@pytest.mark.parametrize("task", ["correlated", "stressed-word"])
def test_every_sample_comes_once_at_every_batch_size(task: str, batch_size: int) -> None:
    data = DATA.model_copy(update={"task": task})
    batches = list(loader(data, "train", batch_size))
    assert [len(batch["label"]) for batch in batches] == [batch_size] * (24 // batch_size) + [24 % batch_size] * (
        24 % batch_size > 0
    )
    drawn = datasets(data)["train"]
    assert sorted(torch.cat([b["score"] for b in batches]).tolist()) == sorted(
        torch.tensor([drawn[index]["score"] for index in range(24)]).tolist()
    )


@pytest.mark.requirement("MAFT-1.6", "MAFT-7.1")
@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_workers_give_the_same_batches_in_the_same_order(batch_size: int) -> None:
    alone, shared = (list(loader(DATA, "train", batch_size, num_workers=workers)) for workers in (0, 2))
    for one, two in zip(alone, shared, strict=True):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.requirement("MAFT-1.6")
def test_only_train_is_shuffled_and_a_generator_decides_how() -> None:
    def scores(split: str, **more: Any) -> list[float]:
        return torch.cat([batch["score"] for batch in loader(DATA, split, 4, **more)]).tolist()

    in_order = [torch.tensor(datasets(DATA)["train"][index]["score"]).item() for index in range(24)]
    assert scores("train", shuffle=False) == in_order
    assert scores("train") == scores("train") != in_order
    assert scores("train", generator=torch.Generator().manual_seed(5)) != scores("train")
    for split, count in (("valid", 9), ("test", 5)):
        assert scores(split) == torch.tensor([datasets(DATA)[split][index]["score"] for index in range(count)]).tolist()


@pytest.mark.requirement("MAFT-1.6")
def test_shorter_clips_are_padded_on_the_right_under_a_mask() -> None:
    batch = collate([clip(text=2), clip(text=4)])
    assert batch["text"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert batch["text_mask"].tolist() == [[True, True, False, False], [True] * 4]
    assert batch["text_time"][0].tolist() == [0.25, 0.75, 0.0, 0.0]
    assert batch["audio"].shape == (2, 3, 74)
    assert batch["label"].dtype == torch.int64
    assert batch["score"].dtype == torch.float32


@pytest.mark.requirement("MAFT-1.6")
def test_the_contract_of_a_batch_holds_for_generated_splits() -> None:
    for task in ("correlated", "stressed-word"):
        for batch in loader(DATA.model_copy(update={"task": task}), "valid", 4):
            for stream in STREAMS:
                assert batch[mask_key(stream)].dtype == torch.bool
                assert batch[mask_key(stream)].shape == batch[time_key(stream)].shape == batch[stream].shape[:2]
                assert (batch[mask_key(stream)].int().diff() <= 0).all()
                assert ((batch[time_key(stream)] >= 0) & (batch[time_key(stream)] <= 1)).all()
            assert present(batch).all()


def test_an_absent_modality_is_a_row_of_false() -> None:
    for samples in ([clip(audio=0), clip()], [clip(audio=0)]):
        batch = collate(samples)
        assert batch["audio"].shape[1] >= 1
        assert present(batch)[0].tolist() == [True, False, True]


def test_quality_and_groups_are_kept_where_every_sample_has_them() -> None:
    rated = {**clip(group="a"), quality_key("audio"): torch.full((3,), 0.5)}
    assert quality_key("audio") in collate([rated, rated])
    assert collate([rated, rated])["group"] == ["a", "a"]
    assert {quality_key("audio"), "group"}.isdisjoint(collate([rated, clip()]))


class Broken(torch.utils.data.Dataset[Sample]):
    """Sample 2 cannot be read."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        if index == 2:
            raise ValueError("checksum differs")
        return clip()


@pytest.mark.requirement("MAFT-7.1")
@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_names_split_and_index(workers: int) -> None:
    broken = Named(Broken(), "valid", DATA)
    with pytest.raises(SubjectError, match=r"split 'valid', sample 2: checksum differs"):
        list(loader(DATA, "valid", 1, num_workers=workers, dataset=broken))


@pytest.mark.requirement("MAFT-7.1")
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"audio": torch.ones(3, 5)}, r"sample 0, field 'audio': \[3, 5\] was found, \[steps, 74\] features"),
        ({"text": torch.ones(2, 300)}, r"field 'text': \[2, 300\] was found, \[steps\] ids"),
        ({"visual_mask": torch.ones(9).bool()}, "field 'visual_mask': 9 steps for 1 of 'visual'"),
        ({"text": torch.tensor([5, 900])}, r"field 'text': ids from 5 to 900 for data\.vocab_size 256"),
    ],
)
def test_an_error_names_the_field(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(SubjectError, match=words):
        Named([{**clip(), **wrong}], "train", DATA)[0]  # type: ignore[arg-type]


def test_an_index_beyond_the_end_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        datasets(DATA)["test"][5]


def test_a_split_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(SubjectError, match="Did you mean 'valid'"):
        loader(DATA, "validation", 4)


def test_what_is_drawn_is_kept_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Drawn(stressed_word(DATA), "train", 4, 0)
    assert drawn[0]["audio"] is drawn[0]["audio"]
    monkeypatch.setattr("gonogo_recipes.maft.samples.KEPT", 100)
    drawn = Drawn(stressed_word(DATA), "train", 4, 0)
    assert torch.equal(drawn[0]["audio"], drawn[0]["audio"])
    assert drawn[0]["audio"] is not drawn[0]["audio"]


def test_every_preset_can_be_drawn() -> None:
    for size in ("tiny", "small", "base"):
        for task in ("correlated", "stressed-word"):
            for split in datasets(load({"size": size, "data": {"task": task}}).data).values():
                assert split[0]["label"] in (0, 1)
