import subprocess
import sys
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.watch.live.log import Log, read


def steps(folder):
    return [line["step"] for line in read(folder)]


@contextmanager
def begun(folder, step, size=10_000, files=5):
    """(log, lines that it goes on from)"""
    log = Log(folder, size, files)
    try:
        yield log, log.begin(step)
    finally:
        log.end()


def written(folder, last, size=10_000, files=5, start=0):
    with begun(folder, start, size, files) as (log, _):
        for step in range(start + 1, last + 1):
            log.write("look", step, loss=float(step))


@given(st.integers(0, 40), st.integers(0, 50), st.integers(200, 3000))
def test_a_resumed_log_has_every_step_once(tmp_path_factory, kept, more, size):
    folder = tmp_path_factory.mktemp("log")
    written(folder, 40, size, files=60)
    written(folder, kept + more, size, files=60, start=kept)
    assert steps(folder) == list(range(1, kept + more + 1))


def test_what_is_done_anew_is_kept_aside(tmp_path):
    written(tmp_path, 10)
    with begun(tmp_path, 7):
        pass
    assert '"step": 8' in (tmp_path / "superseded.jsonl").read_text()


@pytest.mark.requirement("ASTRO-5.2")
def test_the_log_stays_within_its_bounds(tmp_path):
    written(tmp_path, 1000, size=1000, files=3)
    assert len(list(tmp_path.glob("log*"))) == 3
    assert all(path.stat().st_size <= 1000 for path in tmp_path.glob("log*"))
    assert steps(tmp_path)[-1] == 1000


def test_a_line_torn_by_a_kill_is_left_out(tmp_path):
    written(tmp_path, 3)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"kind": "look", "st')
    with begun(tmp_path, 3) as (log, lines):
        log.write("look", 4)
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert steps(tmp_path) == [1, 2, 3, 4]


def test_without_a_count_a_killed_log_goes_on_and_a_complete_one_begins_anew(tmp_path):
    written(tmp_path, 5)
    with begun(tmp_path, None) as (log, lines):
        assert len(lines) == 5
        log.write("end", 5)
    with begun(tmp_path, None) as (_, lines):
        assert lines == []


def test_nan_is_written_as_a_word(tmp_path):
    with begun(tmp_path, 0) as (log, _):
        log.write("look", 1, losses=[float("nan")], values={"loss": float("inf")})
    (line,) = read(tmp_path)
    assert (line["losses"], line["values"]) == (["nan"], {"loss": "inf"})


def test_two_trainings_at_once_do_not_share_a_log(tmp_path):
    folder = tmp_path / "log"
    with begun(folder, 0) as (first, _), begun(folder, 0) as (second, _):
        first.write("look", 1)
        second.write("look", 2)
    assert (steps(folder), steps(tmp_path / "log-2")) == ([1], [2])
    with begun(folder, 1) as (third, lines):
        assert (third.folder, [line["step"] for line in lines]) == (folder, [1])


def test_a_training_in_another_process_keeps_its_folder_until_it_is_killed(tmp_path):
    code = (
        f"from gonogo.watch.live.log import Log, Path; log = Log(Path({str(tmp_path / 'log')!r}), 9, 5); log.begin(0)"
    )
    command = [sys.executable, "-c", f"{code}; print('here', flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        with begun(tmp_path / "log", 0) as (second, _):
            assert second.folder.name == "log-2"
        child.kill()
    with begun(tmp_path / "log", 0) as (third, _):
        assert third.folder.name == "log"
