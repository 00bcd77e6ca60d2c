from hypothesis import given
from hypothesis import strategies as st

from gonogo.watch.live_log import Log, read


def steps(folder):
    return [line["step"] for line in read(folder)]


def written(folder, last, size=10_000, files=5, start=0):
    log = Log(folder, size, files)
    log.begin(start)
    for step in range(start + 1, last + 1):
        log.write("look", step, loss=float(step))
    return log


@given(st.integers(0, 40), st.integers(0, 50), st.integers(200, 3000))
def test_a_resumed_log_has_every_step_once(tmp_path_factory, kept, more, size):
    folder = tmp_path_factory.mktemp("log")
    written(folder, 40, size, files=60)
    written(folder, kept + more, size, files=60, start=kept)
    assert steps(folder) == list(range(1, kept + more + 1))


def test_what_is_done_anew_is_kept_aside(tmp_path):
    written(tmp_path, 10)
    Log(tmp_path, 10_000, 5).begin(7)
    assert '"step": 8' in (tmp_path / "superseded.jsonl").read_text()


def test_the_log_stays_within_its_bounds(tmp_path):
    written(tmp_path, 1000, size=1000, files=3)
    assert len(list(tmp_path.glob("log*"))) == 3
    assert all(path.stat().st_size <= 1000 for path in tmp_path.glob("log*"))
    assert steps(tmp_path)[-1] == 1000


def test_a_line_torn_by_a_kill_is_left_out(tmp_path):
    written(tmp_path, 3)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"kind": "look", "st')
    log = Log(tmp_path, 10_000, 5)
    assert [line["step"] for line in log.begin(3)] == [1, 2, 3]
    log.write("look", 4)
    assert steps(tmp_path) == [1, 2, 3, 4]


def test_without_a_count_a_killed_log_goes_on_and_a_complete_one_begins_anew(tmp_path):
    log = written(tmp_path, 5)
    assert len(Log(tmp_path, 10_000, 5).begin(None)) == 5
    log.write("end", 5)
    assert Log(tmp_path, 10_000, 5).begin(None) == []


def test_nan_is_written_as_a_word(tmp_path):
    Log(tmp_path, 10_000, 5).begin(0)
    Log(tmp_path, 10_000, 5).write("look", 1, losses=[float("nan")], values={"loss": float("inf")})
    (line,) = read(tmp_path)
    assert (line["losses"], line["values"]) == (["nan"], {"loss": "inf"})
