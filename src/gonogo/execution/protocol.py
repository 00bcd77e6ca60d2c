"""Lines of JSON over a pipe of their own: user code may write what it wants to stdout and stderr."""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any


def send(descriptor: int, message: Mapping[str, Any]) -> None:
    """Write one message, whole."""
    data = json.dumps(message, allow_nan=False).encode() + b"\n"
    while data:
        data = data[os.write(descriptor, data) :]


def receive(descriptor: int) -> Iterator[dict[str, Any]]:
    """The messages from a pipe until its other end closes."""
    with os.fdopen(descriptor, "rb", closefd=False) as stream:
        for line in stream:
            yield json.loads(line)
