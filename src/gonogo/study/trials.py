"""Every variant with every seed, each in a process of its own."""

import multiprocessing
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from gonogo.study.design import Study, Trial
from gonogo.study.record import Key, Record, from_json, to_json
from gonogo.training.blame import origin

LOGS = "logs"
Load = Callable[[], Study]  # at the top level of a module, or a partial of it: it is called again in each process
Listen = Callable[[Key, Trial | None], None]  # a trial starts (None), or what came of it


def run(
    load: Load,
    folder: Path,
    *,
    seeds: int | None = None,
    jobs: int = 1,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    listen: Listen = lambda key, trial: None,
) -> tuple[Study, dict[Key, Trial]]:
    """The study and its trials, all variants of one seed before the next seed.

    Args:
        load: Makes the study; called here, and once in each process.
        folder: Of the record and the output of each trial.
        seeds: As many as this instead of the study's own.
        jobs: Processes at a time; 0 runs the trials in this process, where their memory cannot be told apart.
        resume: Take over the trials that the record of the folder has.
        settings: What the study was built with: a record of other settings is refused.
        listen: Told of every trial that starts or ends.

    Raises:
        ProfileError: There is nothing to resume, or it belongs to another study.
    """
    study = load()
    study = study.with_seeds(seeds) if seeds else study
    record = Record(folder, study, settings or {}, resume=resume)
    keys = [(name, seed) for seed in study.seeds for name in study.variants]
    missing = [key for key in keys if key not in record.done]
    for key, trial in _isolated(load, missing, folder, jobs, listen) if jobs else _here(study, missing, listen):
        record.add(key, trial)
        listen(key, trial)
    return study, {key: record.done[key] for key in keys}


def measured(variant: Callable[[int], Trial | Mapping[str, float]], seed: int) -> Trial:
    """The trial of a variant, with its time and memory; an exception is told in its `failure`."""
    before, wall, cpu = psutil.Process().memory_info().rss, time.monotonic(), time.process_time()
    try:
        found = variant(seed)
    except Exception as error:
        return Trial(failure=f"{type(error).__name__}: {error} ({origin(error)})")
    trial = found if isinstance(found, Trial) else Trial(metrics=found)
    return replace(
        trial,
        seconds=trial.seconds or time.monotonic() - wall,
        cpu_seconds=trial.cpu_seconds or time.process_time() - cpu,
        memory=max(0, peak_memory() - before) if trial.memory is None else trial.memory,
    )


def peak_memory() -> int:
    """The most bytes that were resident in this process so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # the resource module counts what the parent held before this program was loaded
        line = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM")), "")
        if line:
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _here(study: Study, keys: list[Key], listen: Listen) -> Iterator[tuple[Key, Trial]]:
    for name, seed in keys:
        listen((name, seed), None)
        # The peak of this process is that of whatever ran in it before.
        yield (name, seed), replace(measured(study.variants[name], seed), memory=None)


def _isolated(load: Load, keys: list[Key], folder: Path, jobs: int, listen: Listen) -> Iterator[tuple[Key, Trial]]:
    context, waiting = multiprocessing.get_context("spawn"), list(keys)
    running: dict[Connection, tuple[Key, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                key = waiting.pop(0)
                listen(key, None)
                mine, theirs = context.Pipe(duplex=False)
                log = folder / LOGS / f"{'-'.join(_words(key[0]))}-{key[1]}.log"
                process = context.Process(target=_trial, args=(load, key, theirs, log))
                process.start()
                theirs.close()
                running[mine] = key, process
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                key, process = running.pop(ready)
                yield key, _received(ready, process)
    finally:
        for _, process in running.values():
            process.kill()


def _received(pipe: Connection, process: BaseProcess) -> Trial:
    try:
        return from_json(pipe.recv_bytes())
    except EOFError:
        process.join()
        return Trial(failure=f"the process ended with exit code {process.exitcode}; its log tells more")
    finally:
        pipe.close()
        process.join()


def _trial(load: Load, key: Key, sink: Connection, log: Path) -> None:
    """What the process of a trial does: its own output goes to the log, its trial to the pipe."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    name, seed = key
    sink.send_bytes(to_json(measured(load().variants[name], seed)).encode())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _words(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text).split()
