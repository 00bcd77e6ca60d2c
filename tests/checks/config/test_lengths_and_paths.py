"""Lengths of schedules, and places of inputs."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gonogo.checks.config.missing_paths import missing_paths
from gonogo.checks.config.schedule_length import schedule_length
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def subject(config: Any) -> Session:
    return Session(Subject("s", config=config, splits={"train": lambda: [torch.zeros(2)] * 10}))


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"warmup_steps": 2000, "total_steps": 1000}, "endless_warmup"),
        ({"warmup_epochs": 5, "epochs": 3}, "endless_warmup"),
        ({"warmup_steps": 1000, "total_steps": 1000}, "doubtful"),
        ({"warmup_steps": 500, "epochs": 3, "total_steps": 600}, "fitting"),
        ({"T_max": 0}, "doubtful"),
        ({"T_max": 30}, "fitting"),
        ({"epochs": 5, "total_steps": 50}, "fitting"),
        ({"epochs": 5, "total_steps": 15, "accumulation_steps": 4}, "fitting"),
        ({"epochs": 5, "total_steps": 13, "accumulation_steps": 4}, "fitting"),
        ({"epochs": 5, "total_steps": 400}, "doubtful"),
        ({"warmup_steps": 0.1, "total_steps": 1000}, None),
        ({"max_epochs": 5, "max_steps": 400}, None),
        ({"max_steps": -1, "epochs": 3}, None),
        ({"lr": 1}, None),
    ],
)
def test_lengths_are_compared(config: dict[str, Any], kind: str | None) -> None:
    try:
        kinds = [row[2] for row in schedule_length(subject(config)).tables[0].rows]
    except NotApplicable:
        kinds = [None]
    assert kinds[0] == kind


def missing(config: Any) -> list[Any]:
    try:
        return [row[1] for row in missing_paths(subject(config)).tables[0].rows]
    except NotApplicable:
        return []


@pytest.mark.parametrize(
    "config",
    [
        {"data_dir": "/nowhere/at/all"},
        {"data": {"root": "./nowhere"}},
        {"vocab_file": "nowhere.txt"},
        {"train_files": ["a/b/c.csv"]},
        {"resume": "runs_of_old/x/last.ckpt"},
    ],
)
def test_an_input_that_is_not_there_is_found(config: dict[str, Any]) -> None:
    assert len(missing(config)) == 1


@pytest.mark.parametrize(
    "config",
    [
        {"output_dir": "/nowhere/out", "log_path": "/nowhere"},
        {"model_path": "meta/llama-7b", "tokenizer": "bert-base-uncased", "dataset": "wikitext"},
        {"dataset": "s3://bucket/x", "train_files": "data/*.csv", "data_dir": "${oc.env:X}/y"},
        {"data": {"output_path": "/nowhere"}, "dataset_name": "a/b"},
        {"resume": False, "pretrained": True, "data_dir": None, "checkpoint": ""},
        {"checkpoint": {"save_dir": "/nowhere"}},
    ],
)
def test_other_texts_are_left_alone(config: dict[str, Any]) -> None:
    assert missing(config) == []


def test_paths_are_seen_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "data" / "train").mkdir(parents=True)
    (tmp_path / "conf").mkdir()
    path = tmp_path / "conf" / "base.yaml"
    path.write_text("data_dir: data/train\nvocab_file: ./vocab.txt\n")
    assert missing(path) == ["./vocab.txt"]
