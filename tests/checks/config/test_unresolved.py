"""Placeholders, and texts that only look like one."""

from pathlib import Path
from typing import Any

import pytest

from gonogo.checks.config.unresolved import unresolved
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def kinds(config: Any) -> list[Any]:
    return [row[2] for row in unresolved(Session(Subject("s", config=config))).tables[0].rows]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("???", "missing"),
        ("${nowhere.else}", "reference"),
        ("${oc.env:GONOGO_NOT_SET}", "reference"),
        ("TODO", "placeholder"),
        ("FIXME: choose", "placeholder"),
        ("changeme", "placeholder"),
        ("/path/to/data", "placeholder"),
        ("<your entity>", "placeholder"),
        (["a", "TBD"], "placeholder"),
    ],
)
def test_a_value_that_is_not_filled_in_is_found(value: Any, kind: str) -> None:
    assert kinds({"a": {"value": value}}) == [kind]


@pytest.mark.parametrize(
    "value",
    [
        "${a.size}",
        "${.size}",
        "${now:%Y}",
        "${oc.env:GONOGO_NOT_SET,3}",
        "todos/x",
        "data/fixmes",
        "",
        None,
        3,
        "$HOME",
        "${b.0}",
        "<pad>",
        "?",
        "mask",
    ],
)
def test_other_texts_are_left_alone(value: Any) -> None:
    assert kinds({"a": {"size": 3, "value": value}, "b": [1]}) == []


def test_tokens_are_data() -> None:
    assert kinds({"unk_token": "???", "prompt": "TODO: ${x}"}) == []


def test_in_a_file_the_command_line_may_fill_it_in(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("data_dir: ???\n")
    assert kinds(path) == ["placeholder"]
