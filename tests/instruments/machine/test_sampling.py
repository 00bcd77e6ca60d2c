"""The sampler sees peaks, says them in human units, ends whatever happens, and costs next to nothing."""

import threading
import time

import psutil
import pytest
import torch

from gonogo.instruments.machine.sampling import Sampler, Snapshot


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


@pytest.mark.requirement("MAFT-5.2")
def test_a_peak_between_start_and_end_is_seen():
    with Sampler(every=0.01) as sampler:
        table = torch.ones(25_000_000)  # 100 MB
        time.sleep(0.1)
        del table
    first = sampler.snapshots[0].resident
    assert sampler.peak("resident") - first > 90_000_000
    assert len(sampler.snapshots) > 4


@pytest.mark.requirement("MAFT-5.2")
def test_it_ends_when_what_it_watches_raises():
    with pytest.raises(RuntimeError, match="of the program"), Sampler(every=0.01):
        raise RuntimeError("of the program")
    assert "gonogo-sampler" not in threads()


@pytest.mark.requirement("MAFT-5.2")
def test_it_can_be_started_and_stopped_by_hand_and_again():
    sampler = Sampler(every=10.0).start()
    assert "gonogo-sampler" in threads()
    assert len(sampler.stop()) == 2
    assert sampler.stop() == tuple(sampler.snapshots)
    assert len(sampler.start().stop()) == 2


def test_a_second_start_is_refused_in_words():
    with Sampler(every=10.0) as sampler, pytest.raises(RuntimeError, match="stop"):
        sampler.start()


def test_an_unknown_field_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="resident"):
        Sampler().peak("residnt")


@pytest.mark.requirement("MAFT-5.2")
def test_snapshots_are_said_in_human_units():
    words = Snapshot(2.5, 1.25, 3_210_000_000, 8_000_000_000, 1_500_000_000_000, gpu=0).words()
    assert words["resident"] == "3.21 GB"
    assert words["disk"] == "1.5 TB"
    assert words["processor"] == "1.25 processors"
    assert "gpu_load" not in words


@pytest.mark.requirement("MAFT-5.2", "MAFT-10.3")
def test_use_over_time_is_a_line_for_each_unit():
    with Sampler(every=0.01) as sampler:
        time.sleep(0.05)
    tables = sampler.tables()
    assert [table.kind for table in tables] == ["line", "line"]
    assert [table.columns[1] for table in tables] == ["memory of the run (MB)", "processors"]
    for table in tables:
        seconds = [row[0] for row in table.rows]
        assert seconds == sorted(seconds)  # type: ignore[type-var]


def test_the_load_of_a_busy_process_is_about_one_processor():
    with Sampler(every=10.0) as sampler:
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass
    assert 0.05 < sampler.peak("processor") < 1.6


def test_one_look_takes_less_than_a_hundredth_of_the_usual_interval():
    sampler, process = Sampler(), psutil.Process()
    before = sum(process.cpu_times()[:2])
    for _ in range(200):
        sampler._look()
    assert (sum(process.cpu_times()[:2]) - before) / 200 < 0.005
