"""How text reaches the terminal."""

import io
import sys

import pytest

from gonogo.cli.folders import say


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "● GO · here\n"), ("latin-1", "* GO - here\n")])
def test_shapes_that_the_terminal_cannot_encode_are_said_in_ascii(monkeypatch, encoding, shown):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    say("● GO · here")
    stream.flush()
    assert stream.buffer.getvalue().decode(encoding) == shown


def test_a_terminal_that_was_closed_costs_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    say("● GO · here")
