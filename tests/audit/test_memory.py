"""Free memory."""

from pathlib import Path

import psutil
import pytest

from gonogo.audit import memory


def test_without_a_limit_it_is_what_the_machine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert memory.free_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.1)
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("5\n")
    assert memory.free_memory() > 5


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    assert memory.free_memory() == 600_000
    (tmp_path / "memory.current").write_text("1400000\n")
    assert memory.free_memory() == 0


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (1536, "1.5 KiB"), (3 * 2**40, "3 TiB"), (2**70, "1.049e+06 PiB")]
)
def test_sizes_are_written_for_people(size: int, words: str) -> None:
    assert memory.readable(size) == words
