"""Growth of the resident memory: what stays behind for good, and what a pool of memory does."""

import pytest

from gonogo.checks.watch.memory import memory
from gonogo.testing.contract import answer
from gonogo.training.recording import Recording
from gonogo.training.subject import Subject

MIB = 2**20
POOL = [619, 657, 649, 674, 660, 655, 690, 681, 676, 688, 684, 679]  # measured: a residual network on a CPU


def growth(sizes):
    """Bytes per step that the check finds in these sizes (MiB), read at every step."""
    events = []
    for step, size in enumerate(sizes):
        events.append({"kind": "backward", "step": step, "number": step, "graphs": 1})
        events.append({"kind": "step", "step": step, "optimizer": 0, "resident": int(size * MIB)})
    subject = Subject(name="script", recording=Recording(tuple(events)))
    return answer(memory.check, subject).observation.measurements["growth"].value


@pytest.mark.parametrize("noise", [0, 5])
def test_what_every_step_leaves_behind_is_counted(noise):
    found = growth([500 + 2 * step + noise * (step % 3) for step in range(60)])
    assert 1 * MIB < found < 3 * MIB


def test_a_pool_that_grows_now_and_then_leaves_nothing_behind():
    assert growth([*[600] * 20, *POOL, *[680] * 20]) < MIB
    assert growth([*[600] * 40, *[900] * 20]) == 0
