"""Points of an equation are drawn by right; what is drawn where something is read is not."""

from dataclasses import replace
from typing import Any

import pytest

from gonogo.audit.source import define
from gonogo.checks.code.fabricated_data import fabricated_data
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

CHECK: Any = fabricated_data.check  # type: ignore[attr-defined]
POINTS = """import torch
class Points:
    def __init__(self, count):
        self.count = count
    def __iter__(self):
        for _ in range(self.count):
            yield {"inner": torch.rand(8, 2)}
def loader():
    return Points(4)
"""


@pytest.mark.parametrize(
    ("text", "status"),
    [(POINTS, Status.PASS), (POINTS.replace("range(self.count)", "self.rows"), Status.WARN)],
)
def test_a_loader_that_reads_nothing_fabricates_nothing(text, status):
    subject = replace(Subject("s"), splits={"train": define(f"points_{status.name}", text)["loader"]})
    assert answer(CHECK, subject).status is status
