"""One worker process seen from the supervisor: start, ask, watch, end. Never imports torch."""

import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from gonogo.core.criterion import number
from gonogo.core.report import Failure
from gonogo.errors import GonogoError
from gonogo.execution import protocol

KEEP = 16_384  # bytes of the worker's output that are kept: the last lines tell why it died
TICK = 0.05  # seconds between two looks at the memory and the clock
CHUNK = 1 << 16
_LIBRARIES = ("site-packages", "/lib/python3", "<frozen", str(Path(__file__).parent.parent))


class WorkerDied(GonogoError):  # noqa: N818 - it died, it does not err
    """The worker cannot answer; `failure` tells why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class WorkerProcess:
    """A worker in a process group of its own, so that all it started ends with it."""

    def __init__(self, memory_limit: float) -> None:
        self.memory_limit = memory_limit
        child_in, self._to = os.pipe()
        self._from, child_out = os.pipe()
        environment = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", **os.environ}
        self._process = subprocess.Popen(
            # -P: a random.py in the current folder must not take the place of Python's own.
            [sys.executable, "-P", "-m", "gonogo.execution.worker", str(child_in), str(child_out)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(child_in, child_out),
            start_new_session=True,
            env=environment,
        )
        os.close(child_in)
        os.close(child_out)
        self._answer, self._said = b"", {"stdout": b"", "stderr": b""}
        self._streams = selectors.DefaultSelector()
        self._streams.register(self._from, selectors.EVENT_READ, "answer")
        for name in ("stdout", "stderr"):
            stream = getattr(self._process, name)
            os.set_blocking(stream.fileno(), False)
            self._streams.register(stream, selectors.EVENT_READ, name)

    def ask(self, message: Mapping[str, Any], seconds: float, grace: float = 0.0) -> dict[str, Any]:
        """The worker's answer; `grace` is time beyond the limit for a check that watches the clock to finish.

        Raises:
            WorkerDied: It crashed, took longer than `seconds`, or took more memory than its limit.
        """
        self._said = {"stdout": b"", "stderr": b""}
        with contextlib.suppress(BrokenPipeError):  # it died before: reading tells how
            protocol.send(self._to, message)
        started, looked = time.monotonic(), 0.0
        while b"\n" not in self._answer:
            now = time.monotonic()
            if now - started > seconds + grace:
                self._ask_where_it_is()
                raise self._end(f"took longer than its limit of {seconds:g} s and was stopped")
            if now - looked > TICK:
                looked = now
                self._watch_memory()
            if not self._read(TICK):
                raise self._end(None)
        line, _, self._answer = self._answer.partition(b"\n")
        return json.loads(line)

    def close(self) -> None:
        """End the worker and everything it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._streams.close()
        for descriptor in (self._to, self._from):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()

    def _read(self, seconds: float) -> bool:
        """Take in what the worker has said; False once its answering pipe is closed."""
        for key, _ in self._streams.select(seconds):
            data = os.read(key.fd, CHUNK)
            if key.data == "answer":
                if not data:
                    return False
                self._answer += data
            elif data:
                self._said[key.data] = (self._said[key.data] + data)[-KEEP:]
            else:
                self._streams.unregister(key.fileobj)
        return True

    def _ask_where_it_is(self) -> None:
        """Make the worker write its stack to stderr (see faulthandler.register there)."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
            end = time.monotonic() + 1.0
            while time.monotonic() < end and b"most recent call first" not in self._said["stderr"]:
                self._read(TICK)
            self._read(TICK)

    def _watch_memory(self) -> None:
        used = _resident(self._process.pid)
        if used > self.memory_limit:
            limit = number(self.memory_limit, "By")
            raise self._end(f"used {number(used, 'By')} of memory, over its limit of {limit}, and was stopped")

    def _end(self, why: str | None) -> WorkerDied:
        if why is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=2)
            why = _cause(self._process.poll())
        for _ in range(100):  # what it said last is still in the pipes
            if not self._streams.select(0) or not self._read(0):
                break
        self.close()
        said = self._said["stderr"].decode(errors="replace")
        return WorkerDied(Failure(why + _place(said), stderr="\n".join(said.splitlines()[-20:])))


def _place(stack: str) -> str:
    """', at save.py:12 in save' for the innermost frame of the user's own code in a dumped stack."""
    frames = re.findall(r'^  File "(.+)", line (\d+) in (\S+)$', stack, flags=re.MULTILINE)
    own = [frame for frame in frames if not any(part in frame[0] for part in _LIBRARIES)]
    return f", at {Path(own[0][0]).name}:{own[0][1]} in {own[0][2]}" if own else ""


def _cause(code: int | None) -> str:
    if code is None:
        return "the worker closed its pipe and went on; it was stopped"
    if code >= 0:
        return f"the process ended by itself with exit code {code} (os._exit or a library's abort)"
    name = signal.Signals(-code).name
    hint = {
        "SIGKILL": ": most likely the kernel's out-of-memory killer",
        "SIGSEGV": " (segmentation fault): native code read or wrote memory that is not its own",
        "SIGABRT": " (abort): a native library gave up",
        "SIGBUS": ": often a full /dev/shm; use fewer DataLoader workers or a larger shared memory",
    }.get(name, "")
    return f"the process was killed by {name}{hint}"


def _resident(pid: int) -> int:
    """Memory of a process and its children, bytes; shared pages count once if the plain sum looks too high."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
        return sum(member.memory_info().rss for member in family[:1]) + sum(_own(child) for child in family[1:])
    except psutil.Error:
        return 0


def _own(child: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error, AttributeError):
        info = child.memory_info()
        return max(0, info.rss - getattr(info, "shared", 0))
    return 0
