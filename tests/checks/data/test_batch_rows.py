"""Lost rows are found; layouts that only look like them are not accused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from gonogo.checks.data.batch_rows import batch_rows
from gonogo.core.measurement import Observation
from gonogo.training.session import Session
from gonogo.training.subject import Subject

B = 8
SAMPLES = [{"n": n, "length": 3 + n * n % 5, "has": n % 3 != 0} for n in range(44)]  # the last batch has 4


def loader(more: Callable[[list[dict[str, Any]]], dict[str, Any]], **settings: Any) -> DataLoader[Any]:
    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        base = {"x": torch.ones(len(rows), 5), "label": torch.tensor([row["n"] % 4 for row in rows])}
        return base | more(rows)

    return DataLoader(SAMPLES, B, collate_fn=collate, **settings)  # type: ignore[arg-type]


def ask(train: Any) -> Observation:
    return batch_rows(Session(Subject("s", splits={"train": lambda: train})))


def with_stream(rows: list[dict[str, Any]]) -> list[int]:
    return [at for at, row in enumerate(rows) if row["has"]]


def longest(rows: list[dict[str, Any]]) -> int:
    return 3 + rows[0]["n"] % 5  # changes from batch to batch, mostly below the batch size


LEGITIMATE: dict[str, Callable[[list[dict[str, Any]]], dict[str, Any]]] = {
    "weights per class": lambda rows: {"weights": torch.ones(4)},
    "as many weights as a full batch": lambda rows: {"weights": torch.ones(B)},
    "as many weights as the last batch": lambda rows: {"weights": torch.ones(len(SAMPLES) % B)},
    "scalar": lambda rows: {"temperature": torch.tensor(0.5), "step": 3},
    "node list": lambda rows: {"nodes": torch.ones(sum(r["length"] for r in rows), 2)},
    "masked patches, now more than samples, now fewer": lambda rows: {
        "patches": torch.ones(sum(row["n"] % 2 for row in rows) * (1 + rows[0]["n"] // B % 3), 3)
    },
    "edge list": lambda rows: {"edges": torch.ones(2, sum(r["length"] for r in rows), dtype=torch.long)},
    "sequence first": lambda rows: {"tokens": torch.ones(longest(rows), len(rows))},
    "causal mask": lambda rows: {"mask": torch.ones(longest(rows), longest(rows))},
    "broadcast mask": lambda rows: {"mask": torch.ones(1, longest(rows))},
    "masked positions": lambda rows: {"at": torch.arange(sum(r["n"] % 2 for r in rows) // 2)},
    "packed stream with index": lambda rows: {
        "audio": torch.ones(len(with_stream(rows)), 3),
        "audio_row": torch.tensor(with_stream(rows)),
    },
    "packed stream with presence": lambda rows: {
        "audio": torch.ones(len(with_stream(rows)), 3),
        "heard": torch.tensor([row["has"] for row in rows]),
    },
    "packed stream with marker token": lambda rows: {
        "image": torch.ones(len(with_stream(rows)), 3, 2, 2),
        "tokens": torch.tensor([[9, 9, 10 + row["n"]] if row["has"] else [1, 2, 10 + row["n"]] for row in rows]),
    },
    "packed tokens behind an axis of one": lambda rows: {"ids": torch.ones(1, 6 * len(rows), dtype=torch.long)},
    "packed states behind an axis of one": lambda rows: {"states": torch.ones(1, 6 * len(rows), 4)},
    "one video for all": lambda rows: {"video": torch.ones(1, 16, 3, 4, 4)},
    "position codes": lambda rows: {
        "tokens": torch.ones(len(rows), longest(rows)),
        "codes": torch.ones(longest(rows), 6),
    },
    "texts and streams in a list": lambda rows: {
        "text": ["a"] * len(rows),
        "streams": [torch.ones(len(rows), 2), torch.ones(len(rows), 3)],
        "ragged": [torch.ones(row["length"]) for row in rows],
    },
}

LOST: dict[str, Callable[[list[dict[str, Any]]], dict[str, Any]]] = {
    "pictures of all samples in one list": lambda rows: {"pictures": torch.ones(1, 2 * len(rows), 3, 4, 4)},
    "a stream": lambda rows: {"audio": torch.ones(len(with_stream(rows)), 3)},
    "a stream as wide as the batch": lambda rows: {"audio": torch.ones(len(with_stream(rows)), B)},
    "a stream in a list": lambda rows: {"two": [torch.ones(len(rows), 2), torch.ones(len(with_stream(rows)), 3)]},
    "texts": lambda rows: {"text": ["a" for _ in with_stream(rows)]},
    "a second target": lambda rows: {"target_b": torch.tensor([rows[at]["n"] % 2 for at in with_stream(rows)]).float()},
}


@pytest.mark.parametrize("settings", [{}, {"drop_last": True}, {"shuffle": True}], ids=str)
@pytest.mark.parametrize("name", LEGITIMATE)
def test_a_legitimate_layout_passes(name: str, settings: dict[str, Any]) -> None:
    found = ask(loader(LEGITIMATE[name], **settings))
    assert found.measurements["short_fields"].value == 0, found.tables


@pytest.mark.parametrize("settings", [{}, {"drop_last": True}], ids=str)
@pytest.mark.parametrize("name", LOST)
def test_lost_rows_are_found(name: str, settings: dict[str, Any]) -> None:
    assert ask(loader(LOST[name], **settings)).measurements["short_fields"].value == 1


@pytest.mark.parametrize("name", LEGITIMATE)
def test_a_legitimate_layout_passes_without_a_data_set_to_collate_from(name: str) -> None:
    assert ask(list(loader(LEGITIMATE[name]))).measurements["short_fields"].value == 0


def test_the_table_names_field_batch_and_rows() -> None:
    rows = ask(list(loader(LOST["a stream"]))).tables[0].rows
    assert rows[0] == ("train", "audio", 0, 5, 8)


def test_a_collate_function_that_needs_full_batches_is_still_read() -> None:
    def pairs(rows: list[dict[str, Any]]) -> dict[str, Any]:
        if len(rows) % 2:
            raise ValueError("pairs are needed")
        return {}

    assert ask(loader(pairs)).measurements["short_fields"].value == 0


def test_a_collate_function_that_drops_whole_samples_passes() -> None:
    def only_heard(rows: list[dict[str, Any]]) -> dict[str, Any]:
        kept = [row for row in rows if row["has"]]
        return {"x": torch.ones(len(kept), 5), "label": torch.tensor([row["n"] % 4 for row in kept])}

    assert ask(DataLoader(SAMPLES, B, collate_fn=only_heard)).measurements["short_fields"].value == 0  # type: ignore[arg-type]
