"""What a process may use is read from its control group, not from the host."""

from pathlib import Path

import psutil
import pytest

from gonogo.training.machine import cores, machine, memory_limit


def group(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".", 1)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="ascii")
    return folder


@pytest.mark.requirement("MAFT-5.1")
def test_a_quota_of_processors_counts(tmp_path: Path):
    assert cores(group(tmp_path, cpu_max="150000 100000\n")) == min(1.5, cores(tmp_path / "none"))


@pytest.mark.requirement("MAFT-5.1")
def test_no_quota_leaves_what_the_process_may_run_on(tmp_path: Path):
    assert cores(group(tmp_path, cpu_max="max 100000\n")) == cores(tmp_path / "none") >= 1


@pytest.mark.requirement("MAFT-5.1")
def test_files_in_the_cache_of_a_container_are_not_used_memory(tmp_path: Path):
    files = {
        "memory_max": "4000000000",
        "memory_current": "3000000000",
        "memory_stat": "anon 5\ninactive_file 1000000000\n",
    }
    assert memory_limit(group(tmp_path, **files)) == (4_000_000_000, 2_000_000_000)


def test_the_first_version_of_control_groups_is_read(tmp_path: Path):
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("2000000000")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("500000000")
    assert memory_limit(tmp_path) == (2_000_000_000, 500_000_000)


@pytest.mark.parametrize("text", ["max", "9223372036854771712", "", "nonsense"])
def test_without_a_limit_the_host_counts(tmp_path: Path, text: str):
    assert memory_limit(group(tmp_path, memory_max=text)) == (None, 0)
    assert machine(tmp_path, root=tmp_path).memory == psutil.virtual_memory().total


@pytest.mark.requirement("MAFT-5.1")
def test_a_container_is_smaller_than_its_host(tmp_path: Path):
    here = machine(tmp_path, root=group(tmp_path, memory_max="1000000000", memory_current="900000000"))
    assert here.memory == 1_000_000_000
    assert here.available <= 100_000_000
    assert 0 < here.disk_free <= here.disk
