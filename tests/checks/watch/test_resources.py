"""What a watched script takes of the machine."""

from gonogo.checks.watch.resources import resources
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.recording import Recording
from gonogo.training.subject import Subject

GB = 1 << 30


def recorded(count=20, seconds=0.5, **fields):
    loader = {"kind": "loader", "loader": 0, "length": 40, "step": 0}
    events = [loader]
    for step in range(count):
        at = {"step": step, "at": seconds * step}
        events += [
            {"kind": "fetch", "pass": 1, "loader": 0, "batch": step + 1, **at},
            {"kind": "backward", "pass": 1, **at},
        ]
        events.append({"kind": "step", "optimizer": 0, "resident": 2 * GB, "memory": 8 * GB, **at, **fields})
    return answer(resources.check, Subject(name="run", recording=Recording(tuple(events))))


def measured(found):
    return {name: one.value for name, one in found.observation.measurements.items()}


def test_the_pace_of_steps_gives_that_of_an_epoch():
    assert measured(recorded()) == {"step": 0.5, "epoch": 20.0, "peak": 2 * GB, "headroom": 0.75}


def test_on_a_gpu_its_memory_counts_and_not_that_of_the_process():
    found = recorded(device_peak=15 * GB, device_memory=16 * GB)
    assert measured(found)["headroom"] == 1 / 16
    assert found.status is Status.WARN


def test_a_few_steps_tell_nothing():
    assert recorded(count=5).status is Status.SKIP


def test_an_interpreter_that_cannot_tell_its_memory_is_no_error():
    found = recorded(resident=0, memory=0)
    assert found.status is Status.SKIP
    assert "psutil is missing" in found.reason
