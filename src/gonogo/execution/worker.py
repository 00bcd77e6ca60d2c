"""The process in which user code runs: loads the subject, measures what it is told to, answers with numbers.

It never judges, and it may die at any moment: the supervisor keeps what it has said so far.
"""

import contextlib
import ctypes
import faulthandler
import os
import platform
import signal
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from gonogo.core.catalogue import discover_plugins, to_json
from gonogo.core.check import Check
from gonogo.core.report import Outcome, outcome_to_dict
from gonogo.execution import protocol
from gonogo.execution.measure import Bench, describe

_CHECK = TypeAdapter(Check)


def main() -> None:
    """Serve the supervisor until it closes the pipe."""
    _die_with_parent()
    faulthandler.enable()  # a crash of native code, or the supervisor's question where we are, shows the Python stack
    faulthandler.register(signal.SIGUSR1)
    source, sink = int(sys.argv[1]), int(sys.argv[2])
    del sys.argv[1:]  # programs that read a command line find one without arguments: their defaults
    bench: Any = None
    own = os.getpid()
    for message in protocol.receive(source):
        if "load" in message:
            try:
                bench, hello = _load(**message["load"])
                if os.getpid() != own:  # user code forked while it was imported, and the child came back to us
                    os._exit(0)
                protocol.send(sink, {"hello": hello})
            except BaseException as error:  # whatever user code raises while it is imported
                failure = describe(error)
                protocol.send(sink, {"refused": failure.message, "traceback": failure.traceback})
        elif "describe" in message:
            protocol.send(sink, {"plugins": to_json(discover_plugins())})
        elif "took" in message:
            protocol.send(sink, {"took": _took(bench, **message["took"])})
        elif "fingerprint" in message:
            protocol.send(sink, {"data": _data_fingerprint(bench)})
        else:
            protocol.send(sink, {"outcome": _measure(bench, **message["measure"])})


def _load(subject: str, overrides: dict[str, Any], device: str, seed: int) -> tuple[Bench, dict[str, Any]]:
    import torch

    from gonogo.adapters.locate import locate
    from gonogo.execution.provenance import of_training
    from gonogo.training.device import choose
    from gonogo.training.session import Session

    chosen = choose(device)
    found = locate(subject, overrides)
    if chosen.type == "cpu":
        torch.set_num_threads(1)  # micro steps are many times slower with more threads than idle cores
    hello = {
        "name": found.name,
        "provides": sorted(found.provides()),
        "proxy": found.proxy,
        "plugins": to_json(discover_plugins()),
        "training": of_training(found, chosen),
    }
    return Bench(Session(found, device=chosen, seed=seed)), hello


def _measure(
    bench: Bench, check: dict[str, Any], params: dict[str, Any], seconds: float, damage: dict[str, Any] | None = None
) -> dict[str, Any]:
    if damage is not None:
        try:
            bench = _damaged(bench, _CHECK.validate_python(damage["check"]), damage["fault"])
        except Exception as error:
            return outcome_to_dict(Outcome(not_applicable=f"the fault cannot be injected here: {error}"))
    try:
        return outcome_to_dict(bench.measure(_CHECK.validate_python(check), params, seconds))
    except KeyboardInterrupt as error:  # SIGINT is ignored here, so user code raised it
        return outcome_to_dict(Outcome(failure=describe(error)))


def _damaged(bench: Bench, check: Check, name: str) -> Bench:
    from gonogo.execution import damage

    return Bench(damage.damaged(bench.shared, check, name))


def _took(bench: Bench, check: dict[str, Any], fault: str) -> bool:
    from gonogo.execution import damage

    return damage.took(bench.shared, damage.damaged(bench.shared, _CHECK.validate_python(check), fault))


def _data_fingerprint(bench: Bench) -> dict[str, str]:
    from gonogo.execution.provenance import of_data

    return of_data(bench.shared)


def _die_with_parent() -> None:
    """Ask the kernel to kill this process when the supervisor dies, by kill -9 included (Linux)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        # Should memory run out all the same, the kernel must take this process and not the supervisor.
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")


if __name__ == "__main__":
    main()
