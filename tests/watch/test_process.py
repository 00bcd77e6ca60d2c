"""When a watched process has shown enough."""

import json
import threading
from types import SimpleNamespace

import pytest
import torch

from gonogo.watch import process
from gonogo.watch.inside import Watch
from gonogo.watch.orders import Orders
from gonogo.watch.tracer import Tracer


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """A tracer that ends after 2 steps, and how often it was told to."""
    stops = []
    monkeypatch.setattr(process, "Ending", lambda _: SimpleNamespace(stop=lambda: stops.append(1)))
    tracer = Tracer(lambda _: None, lambda: None)
    process._stop_after(tracer, Orders(tmp_path, 2, 0.0))
    return tracer, stops


def test_weights_that_are_changed_by_hand_end_after_four_backward_passes_per_step(watched):
    tracer, stops = watched
    tracer.backwards = 7
    tracer.on_backward[0]()
    assert not stops
    tracer.backwards = 8
    tracer.on_backward[0]()
    assert stops


def test_where_there_is_an_optimizer_its_steps_are_waited_for(watched):
    tracer, stops = watched
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    tracer.number("optimizer", optimizer)
    tracer.backwards = 800
    tracer.on_backward[0]()
    assert not stops
    tracer.steps = 2
    tracer.on_step[0]()
    assert stops


def test_a_training_in_a_thread_of_its_own_is_followed_from_its_second_step():
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters())

    def train():
        for _ in range(4):
            optimizer.zero_grad()
            model(torch.ones(3, 2)).sum().backward()
            optimizer.step()

    with Watch() as watch:
        thread = threading.Thread(target=train)
        thread.start()
        thread.join()
    assert watch.recording.steps == 3
    assert len(watch.recording.of("backward")) == 3


def test_a_recording_that_cannot_be_written_is_told_once_and_is_no_mistake_of_the_script(tmp_path, capsys):
    folder = tmp_path / "recording"
    folder.mkdir()
    file = process._File(Orders(folder))
    file.write("{}\n")
    file.flush()
    assert file.path.read_text() == "{}\n"
    file.path.unlink()
    folder.rmdir()
    file.write("{}\n")
    file.flush()
    file.flush()
    assert capsys.readouterr().err.count("is not watched") == 1


@pytest.mark.parametrize(
    ("error", "shown", "how"),
    [(KeyError("x"), True, "error"), (process.Stop(0), False, None), (SystemExit(0), True, None)],
)
def test_the_error_of_the_thread_that_trains_is_the_scripts_own(monkeypatch, error, shown, how):
    told, lines = [], []
    monkeypatch.setattr(threading, "excepthook", told.append)
    process._tell_errors(Tracer(lines.append, lambda: None))
    threading.excepthook(threading.ExceptHookArgs((type(error), error, None, None)))
    assert bool(told) == shown
    assert [json.loads(line)["how"] for line in lines] == [how] * bool(how)


def test_an_error_that_quotes_a_traceback_of_another_process_is_told_by_its_first_and_last_words():
    quoted = "Caught in worker 0.\nOriginal Traceback (most recent call last):\n  File x\nKeyError: 3\n"
    assert process._told(ValueError(quoted)) == "ValueError: Caught in worker 0. KeyError: 3"
    assert process._told(ValueError("two\nlines")) == "ValueError: two lines"
