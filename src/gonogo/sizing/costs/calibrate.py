"""What this machine's device reaches, measured in seconds: rates to predict its step times with.

Compared with real steps on a CPU only; on cards it is unvalidated.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import psutil
import torch
from torch import nn

from gonogo.errors import SubjectError
from gonogo.sizing.costs.devices import Device
from gonogo.sizing.costs.devices import device as named

_SIZES = {"cpu": (256, 512, 1024), "cuda": (2048, 4096, 8192)}  # of square matrices
_COPY = {"cpu": 1 << 22, "cuda": 1 << 28}  # elements of float32: far more than caches hold
_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
_LEAST = 3  # repetitions, however slow


def calibrate(seconds: float = 10.0, kind: str | None = None) -> Device:
    """The device of this machine with measured rates: matrix products by dtype, traffic, launches, links.

    Rates are medians of repeated runs, with the threads that torch has now. With one thread, turns that other processes
    take on the core do not count: the rates are those of a machine that is left alone. What is not measured (power,
    price, memory, the link to peers) is of the table's row, or of "cpu".

    Args:
        seconds: About how long to measure.
        kind: "cuda" or "cpu"; by default the first that is there.

    Raises:
        SubjectError: The time is not positive, or the kind is not there.
    """
    kind = kind or ("cuda" if torch.cuda.is_available() else "cpu")
    if not seconds > 0:
        raise SubjectError(f"calibration takes {seconds!r} seconds; expected more than 0")
    if kind not in _SIZES or (kind == "cuda" and not torch.cuda.is_available()):
        raise SubjectError(f"no device {kind!r} to measure here; expected 'cpu', or 'cuda' where torch sees a card")
    parts = len(_TYPES) + 5
    share = seconds / parts
    rates = {name: _products(kind, dtype, share) for name, dtype in _TYPES.items()}
    rates["tf32"] = _tf32(share) if kind == "cuda" else rates["float32"]
    bandwidth, host = _traffic(kind, share), _copies("cpu", share)
    link = _link(share) if kind == "cuda" else host
    launch, dispatch = _launch(kind, share), _dispatch(kind, share)
    base = _row(kind)
    return replace(
        base,
        name=f"{base.name} (measured)",
        flops=rates,
        bandwidth=bandwidth,
        host_bandwidth=host,
        host_link_bytes_per_second=link,
        launch_seconds=launch,
        dispatch_seconds=dispatch,
        measured=True,
        note=f"measured with torch {torch.__version__}, {torch.get_num_threads()} threads",
    )


def _row(kind: str) -> Device:
    """The table's row for this machine; a card that is not in the table lends its price and power from none."""
    if kind == "cpu":
        return replace(named("cpu"), memory_bytes=psutil.virtual_memory().total)
    properties = torch.cuda.get_device_properties(0)
    try:
        base = named(properties.name)
    except SubjectError:
        base = replace(named("cpu"), name=properties.name, price_source="of no such device: give --price")
    return replace(base, memory_bytes=properties.total_memory)


def _products(kind: str, dtype: torch.dtype, seconds: float) -> float:
    """FLOP/s of square matrix products: the median over sizes."""
    rates = []
    for size in _SIZES[kind]:
        a, b = (torch.ones(size, size, dtype=dtype, device=kind) for _ in range(2))
        took = _median(lambda a=a, b=b: torch.mm(a, b), kind, seconds / len(_SIZES[kind]))
        rates.append(2 * size**3 / took)
    return median(rates)


def _tf32(seconds: float) -> float:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        return _products("cuda", torch.float32, seconds)
    finally:
        torch.set_float32_matmul_precision(before)


def _copies(kind: str, seconds: float) -> float:
    """Bytes per second of an addition: two tensors read, one written to new memory, as operators of a step do."""
    a, b = (torch.ones(_COPY[kind], device=kind) for _ in range(2))
    return 3 * a.nbytes / _median(lambda: torch.add(a, b), kind, seconds)


def _traffic(kind: str, seconds: float) -> float:
    """Bytes per second of the operators between matrix products, in equal parts: some of them compute on a CPU.

    Random numbers are not among them: what a CPU takes for those of dropout is not predicted.
    """
    x = torch.ones(_COPY[kind] // 1024, 1024, device=kind)
    operators = {  # how many tensors of this size each reads and writes
        lambda: x + x: 3,
        lambda: nn.functional.gelu(x): 2,
        lambda: nn.functional.softmax(x, -1): 2,
        lambda: nn.functional.layer_norm(x, (1024,)): 2,
    }
    took = [_median(run, kind, seconds / len(operators)) / sides for run, sides in operators.items()]
    return x.nbytes * len(took) / sum(took)


def _link(seconds: float) -> float:
    host = torch.ones(1 << 26).pin_memory()
    there = torch.empty(1 << 26, device="cuda")
    return host.nbytes / _median(lambda: there.copy_(host, non_blocking=True), "cuda", seconds)


def _launch(kind: str, seconds: float) -> float:
    """Seconds of an operator on one number, when many follow each other."""
    one = torch.ones(1, device=kind)

    def many() -> None:
        for _ in range(100):
            one.add_(1)

    return _median(many, kind, seconds) / 100


def _dispatch(kind: str, seconds: float) -> float:
    """Seconds that the host takes for an operator with its gradient, of two operators each way."""
    one = torch.ones(1, device=kind, requires_grad=True)

    def many() -> None:
        result = one
        for _ in range(50):
            result = (result * 2).exp()
        result.backward(torch.ones_like(result))

    return _median(many, kind, seconds) / 250  # 100 forward; a product and, half the time, one more backward


def _median(run: Callable[[], object], kind: str, seconds: float) -> float:
    """Median seconds of a run, after one that does not count."""
    wait = torch.cuda.synchronize if kind == "cuda" else lambda: None
    clock = time.thread_time if kind == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    run()
    wait()
    took: list[float] = []
    end = time.perf_counter() + seconds
    while len(took) < _LEAST or time.perf_counter() < end:
        begin = clock()
        run()
        wait()
        took.append(clock() - begin)
    return median(took)
