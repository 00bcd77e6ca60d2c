"""Watch a piece of this very process: for notebooks, tests, and callbacks."""

import json
from collections.abc import Callable
from typing import Any

from gonogo.training.recording import Recording
from gonogo.watch.taps import begin
from gonogo.watch.tracer import EVERY, Tracer


class Watch:
    """A context in which everything that trains is recorded; the taps are out again at its end."""

    def __init__(self, every: int = EVERY) -> None:
        self._lines: list[str] = []
        self._tracer = Tracer(self._lines.append, lambda: None, every)

    def __enter__(self) -> "Watch":
        begin(self._tracer)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if kind is None:
            self._tracer.end("exit")
        else:
            self._tracer.end("error", error=f"{kind.__name__}: {error}", where="")
        self._tracer.leave()

    def pause(self) -> None:
        """Take the taps out for now."""
        self._tracer.leave()

    def go_on(self) -> None:
        """Put them in again; the steps are counted on."""
        self._tracer.active = True
        begin(self._tracer)

    @property
    def recording(self) -> Recording:
        """What was seen so far."""
        return Recording(tuple(map(json.loads, self._lines)))


def record(run: Callable[[], Any]) -> Recording:
    """What is seen while `run` runs."""
    with Watch() as watch:
        run()
    return watch.recording
