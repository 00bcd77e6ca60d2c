"""Events of a watched script say from which of its lines they come."""

import json
import os
from pathlib import Path

import pytest
import torch

from gonogo.training.recording import Recording
from gonogo.watch import evidence, lines
from gonogo.watch.inside import Watch


@pytest.fixture(autouse=True)
def forget():
    lines._shown.cache_clear()


def here() -> str:
    """This file, as seen from the working directory."""
    return os.path.relpath(__file__)


def test_the_line_is_that_of_the_script_not_of_the_library_that_it_calls():
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watch() as watch:
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    number = test_the_line_is_that_of_the_script_not_of_the_library_that_it_calls.__code__.co_firstlineno
    assert watch.recording.last("backward")["line"] == f"{here()}:{number + 4}"
    assert watch.recording.last("step")["line"] == f"{here()}:{number + 5}"


def test_a_script_outside_the_working_directory_is_named_with_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert lines.line().startswith("watch/test_lines.py:")


def test_a_working_directory_that_is_gone_is_no_mistake(monkeypatch):
    def gone():
        raise FileNotFoundError

    monkeypatch.setattr(Path, "cwd", gone)
    assert lines.line().startswith("watch/test_lines.py:")


def test_code_that_has_no_file_has_no_line():
    scope = {"line": lines.line}
    assert eval("line()", scope).startswith(here())  # the next one outwards


def test_the_usual_lines_come_first():
    events = [{"kind": "step", "line": name} for name in ("a.py:1", "b.py:2", "b.py:2", "c.py:3")]
    assert evidence.lines(Recording(tuple(events)).of("step")) == "b.py:2, a.py:1"


def test_an_error_inside_a_library_is_of_the_line_that_called_it():
    with pytest.raises(RuntimeError) as raised:
        torch.zeros(2) @ torch.zeros(3)
    assert lines.failing(raised.tb).startswith("test_lines.py:")
    with pytest.raises(json.JSONDecodeError) as raised:
        json.loads("{")
    assert lines.failing(raised.tb).startswith("test_lines.py:")
    assert lines.failing(raised.tb.tb_next).startswith("decoder.py:")
    assert lines.failing(None) == ""
