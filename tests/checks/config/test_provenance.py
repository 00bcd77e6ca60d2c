"""A file, and the values that a run has in the end."""

from pathlib import Path
from typing import Any

import pytest

from gonogo.checks.config.provenance import provenance
from gonogo.errors import NotApplicable
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def kinds(file: Any, config: Any, overrides: tuple[str, ...] = ()) -> dict[str, str]:
    rows = provenance(Session(Subject("s", config=config, config_file=file, overrides=overrides))).tables[0].rows
    return {str(row[0]): str(row[3]) for row in rows}


FILE = {"model": {"hidden": 64, "use_audio": True, "streams": ["a", "t"]}, "lr": 3e-4, "data_dir": "a/b", "seed": 1}


@pytest.mark.parametrize(
    ("effective", "key"),
    [
        ({**FILE, "lr": 1e-3}, "lr"),
        ({"hidden": 32, "use_audio": True, "streams": ["a", "t"], "lr": 3e-4}, "model.hidden"),
        ({"hidden": 64, "use_audio": False, "streams": ["a", "t"], "lr": 3e-4}, "model.use_audio"),
        ({"hidden": 64, "use-audio": True, "streams": ["t"], "lr": 3e-4}, "model.streams"),
    ],
)
def test_a_default_that_overwrites_the_file_is_found(effective: dict[str, Any], key: str) -> None:
    assert kinds(FILE, effective) == {key: "overwritten"}


@pytest.mark.parametrize(
    "effective",
    [
        FILE,
        {**FILE, "data_dir": "/abs/a/b", "seed": 7, "extra": 3},
        {**FILE, "lr": "3e-4"},
        {"hidden": 64.0, "use_audio": True, "streams": ("a", "t"), "lr": 0.0003},
    ],
)
def test_equal_values_and_plumbing_are_left_alone(effective: dict[str, Any]) -> None:
    assert kinds(FILE, effective) == {}


def test_what_was_given_on_purpose_may_differ() -> None:
    changed = {**FILE, "lr": 1e-3, "model": {**FILE["model"], "hidden": 8}}
    assert kinds(FILE, changed, ("--lr", "model.hidden=8")) == {}


def test_scaled_and_computed_values_are_only_different() -> None:
    assert kinds({"lr": 1e-3, "size": 3}, {"lr": 8e-3, "size": 5}) == {"lr": "different", "size": "different"}


def test_a_key_that_never_arrives_is_unread() -> None:
    assert kinds({"mixup": 0.1, "lr": 1}, {"lr": 1}) == {"mixup": "unread"}


def test_the_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "base.yaml"
    path.write_text("lr: 1e-3\nuse_ema: true\nhidden: ${size}\nname: x\n")
    assert kinds(path, {"lr": 1e-3, "use_ema": False, "hidden": 3}) == {"use_ema": "overwritten"}


def test_without_a_file_nothing_is_asked() -> None:
    with pytest.raises(NotApplicable, match="config_file"):
        kinds(None, {"lr": 1})
