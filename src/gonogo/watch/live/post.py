"""Values to trackers and alerts to people, from a thread of its own: neither waits for a network, neither can fail."""

import json
import queue
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from gonogo.core.redact import redact

WAITING = 10_000  # messages; more are dropped
TIMEOUT = 10.0  # seconds that one call of a webhook may take
GRACE = 60.0  # seconds that the end of a training waits for what is still to be sent


class Receiver(Protocol):
    """As `gonogo.reports.sinks.Sink`."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Keep the values of one step."""
        ...

    def alert(self, title: str, text: str) -> None:
        """Tell a person."""
        ...

    def close(self) -> None:
        """Write out what waits."""
        ...


class Webhook:
    """Posts alerts as JSON; the field `text` is what chat programs show."""

    def __init__(self, address: str) -> None:
        self._address = address

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers are not for people."""

    def alert(self, title: str, text: str) -> None:
        """Post it."""
        body = json.dumps({"text": f"{title}: {text}", "title": title, "detail": text}).encode()
        request = urllib.request.Request(  # noqa: S310 - the settings take http and https only
            self._address, data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT):  # noqa: S310
            pass

    def close(self) -> None:
        """Nothing waits."""


class Post:
    """A queue and its thread. A receiver that raises is told of once and gets nothing more."""

    def __init__(self, receivers: Sequence[Receiver], broken: Callable[[str], None]) -> None:
        self._receivers, self._broken = list(receivers), broken
        self._queue: queue.Queue[tuple[str, tuple[Any, ...]]] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._deliver, name="gonogo-post", daemon=True)
        if self._receivers:
            self._thread.start()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Hand on the values of one step."""
        if self._receivers:
            self._put("log", step, dict(values))

    def alert(self, title: str, text: str) -> None:
        """Hand on an alert, without secrets."""
        if self._receivers:
            self._put("alert", redact(title), redact(text))

    def close(self) -> None:
        """Wait for what is still to be sent, but not for ever."""
        if self._thread.is_alive():
            self._put("close")
            self._thread.join(GRACE)

    def _put(self, what: str, *given: Any) -> None:
        try:
            self._queue.put_nowait((what, given))
        except queue.Full:
            self._broken(f"{WAITING} messages wait to be sent; one was dropped")

    def _deliver(self) -> None:
        while True:
            what, given = self._queue.get()
            for receiver in list(self._receivers):
                try:
                    getattr(receiver, what)(*given)
                except Exception as error:
                    self._receivers.remove(receiver)
                    # The text of a network's error may hold the address; its kind and place do not.
                    self._broken(f"{type(receiver).__module__}.{type(receiver).__name__}: {type(error).__name__}")
            if what == "close":
                return
