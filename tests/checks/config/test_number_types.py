"""Texts that look like numbers, in mappings and in YAML files."""

from pathlib import Path
from typing import Any

import pytest

from gonogo.checks.config.number_types import number_types
from gonogo.core.measurement import Observation
from gonogo.errors import NotApplicable, SubjectError
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def ask(config: Any) -> Observation:
    return number_types(Session(Subject("s", config=config)))


def keys(config: Any) -> list[Any]:
    return [row[0] for row in ask(config).tables[0].rows]


@pytest.mark.parametrize("text", ["1e-3", "5E4", "1.5e3", "0.1", "32", "-2", ".5", "1_000", " 3 "])
def test_a_text_that_looks_like_a_number_is_counted(text: str) -> None:
    assert keys({"optimizer": {"rates": [0.1, text]}}) == ["optimizer.rates[1]"]


@pytest.mark.parametrize(
    "value", [1e-3, 3, True, None, "adam", "1e", "3x", "007", "1.2.3", "2026-01-01", "", "nan", "-"]
)
def test_numbers_and_words_are_left_alone(value: Any) -> None:
    assert keys({"a": value}) == []


@pytest.mark.parametrize("key", ["version", "cuda_device", "gpu_ids", "run_name", "devices"])
def test_digits_under_a_key_that_names_something_are_a_name(key: str) -> None:
    assert keys({key: "0", "x": {key: ["1", "2"]}}) == []


def test_a_file_gives_the_line_and_respects_quotes(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "a: 1.0e-3\nb:\n  lr: 1e-3  # text\n  zip: '12345'\n  steps: [10, 2e3]\nc: *x\n".replace("c: *x\n", "")
    )
    found = ask(path)
    assert found.tables[0].rows == (("b.lr", "1e-3", 3), ("b.steps[1]", "2e3", 5))
    assert found.measurements["numeric_texts"].n == 5


def test_aliases_are_followed_and_endless_ones_end(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text("base: &b {lr: 1e-3}\nrun: *b\nloop: &l [*l]\n")
    assert keys(path) == ["base.lr", "run.lr"]


def test_unknown_tags_do_not_run_anything(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a: !!python/object/apply:os.system ['exit 3']\nb: 1e4\n")
    assert keys(path) == ["b"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SubjectError, match=r"gone\.yaml cannot be read"):
        ask(tmp_path / "gone.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    with pytest.raises(SubjectError, match=r"bad\.yaml is not valid YAML.*line 2"):
        ask(tmp_path / "bad.yaml")


def test_other_formats_do_not_apply(tmp_path: Path) -> None:
    with pytest.raises(NotApplicable, match=r"run\.toml"):
        ask(tmp_path / "run.toml")
