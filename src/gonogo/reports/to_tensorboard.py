"""The report and live numbers as TensorBoard events, written by TensorBoard's own writer: torch is not needed.

Scalars of TensorBoard have 32 bits.
"""
# pyright: reportAttributeAccessIssue=false
# The modules of Protocol Buffers make their names when they are imported.

import os
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from gonogo.core.redact import redact
from gonogo.core.report import Report
from gonogo.reports.sinks import described, measured, named, own_folder

FLUSH = 10  # seconds: what a killed training may lose


class Run:
    """One folder of events below `.gonogo/tensorboard`."""

    def __init__(self, title: str, folder: Path) -> None:
        words = re.sub(r"\W+", "-", title).strip("-")[-60:]
        name = f"{datetime.now(tz=UTC):%Y%m%dT%H%M%S}-{os.getpid()}-{words}"
        self._place, self._step = own_folder(folder, "tensorboard") / name, 0

    @cached_property
    def _writer(self) -> EventFileWriter:
        return EventFileWriter(str(self._place), flush_secs=FLUSH)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Keep the values of one step."""
        self._step = step
        self._add(step, [Summary.Value(tag=name, simple_value=value) for name, value in named(values).items()])

    def alert(self, title: str, text: str) -> None:
        """A text at the last step: TensorBoard tells nobody."""
        self._add(self._step, [_text("gonogo/alerts", redact(f"**{title}**\n\n{text}"))])

    def publish(self, report: Report, files: Mapping[str, Path]) -> str:
        """Scalars of step 0; the verdict and the report as texts."""
        scalars = [Summary.Value(tag=name, simple_value=value) for name, value in measured(report).items()]
        texts = [_text(name.replace(".", "/"), value) for name, value in described(report).items()]
        self._add(0, [*scalars, *texts, _text("gonogo/report", files["markdown"].read_text(encoding="utf-8"))])
        self._writer.flush()
        return f"TensorBoard: tensorboard --logdir {self._place.parent} shows {self._place.name}"

    def close(self) -> None:
        """Write out what waits."""
        if "_writer" in self.__dict__:
            self._writer.close()

    def _add(self, step: int, values: list[Summary.Value]) -> None:
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))


def _text(name: str, markdown: str) -> Summary.Value:
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype=DT_STRING, string_val=[markdown.encode()], tensor_shape=shape)
    return Summary.Value(tag=name, metadata=create_summary_metadata(name, ""), tensor=tensor)
