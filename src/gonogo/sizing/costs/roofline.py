"""The time of a step from its work, as an interval.

A kernel takes the longest of its arithmetic, its traffic and a launch (roofline); a device computes no faster than its
host sends operators; what is exchanged or moved to the host hides behind arithmetic in part. Without calibration the
rates are shares of the peak, and the interval is as wide as a published run and plausible shares left it. Unvalidated
on any card.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from gonogo.sizing.costs.devices import Device
from gonogo.sizing.costs.workload import Kernel, Work

# What kernels reach of the dense peak, or of the bandwidth; not fitted to any run.
SHARES: Mapping[str, float] = MappingProxyType(
    {"matmul": 0.70, "attention": 0.40, "convolution": 0.45, "memory": 0.80, "link": 0.80}
)
# Of rates that were measured with large matrices and copies.
MEASURED: Mapping[str, float] = MappingProxyType(
    {"matmul": 1.0, "attention": 0.57, "convolution": 0.64, "memory": 1.0, "link": 1.0}
)
# Time from below to above the point: what four plausible sets of shares leave open. A published run (8 billion
# parameters, 8 cards) took 18 % longer than the point, its exchanges and sharding copies left out.
BAND = (0.82, 1.25)
# After calibration: four small models on one CPU took 0.80 to 1.37 of the point; no card was measured.
BAND_MEASURED = (0.75, 1.40)
# Share of exchanges and transfers that hides behind arithmetic: at best, usually, at worst.
OVERLAP = (1.0, 0.7, 0.0)
RANKS_OF_HOST = 8  # devices that share the memory of one host
_ON_DEVICE: tuple[str, ...] = ("matmul", "attention", "convolution", "memory")


class Offloading(Protocol):
    """What matters of a strategy here: bytes on the host for each parameter."""

    @property
    def host_bytes_per_parameter(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Interval:
    """Low, point and high of one quantity."""

    low: float
    point: float
    high: float

    def __mul__(self, factor: float) -> "Interval":
        return Interval(self.low * factor, self.point * factor, self.high * factor)

    def over(self, amount: float) -> "Interval":
        """`amount` divided by it."""
        return Interval(amount / self.high, amount / self.point, amount / self.low)


@dataclass(frozen=True, slots=True)
class StepTime:
    """Seconds of one step, and of its parts at the point before anything overlaps.

    Attributes:
        bound: Which part decides.
    """

    seconds: Interval
    parts: Mapping[str, float]
    bound: str


def step_time(
    work: Work,
    device: Device,
    gpus: int = 1,
    strategies: Sequence[Offloading] = (),
    *,
    parameters: int = 0,
    loader_seconds: float = 0.0,
    shares: Mapping[str, float] | None = None,
) -> StepTime:
    """Seconds of one step of one of `gpus` ranks that are alike.

    Args:
        work: Of one rank.
        device: What the rank runs on.
        gpus: Ranks.
        strategies: For what they keep on the host.
        parameters: Of the whole model; for what a trace does not show of states on the host.
        loader_seconds: What the data loader was measured to take for the data of one step, in the background.
        shares: Of peaks, instead of SHARES or MEASURED.
    """
    shares = shares or (MEASURED if device.measured else SHARES)
    parts = _device_parts(work, device, shares)
    link, host = _host_parts(work, device, gpus, strategies, parameters, shares)
    exchange = sum(exchange_seconds(k, device, gpus, shares) for k in work.kernels if k.kind == "exchange")
    sent = device.dispatch_seconds * max(work.operators, 1)
    computing = max(sum(parts.values()), sent)
    band = BAND_MEASURED if device.measured else BAND
    ends = []
    for overlap, scale in zip(OVERLAP, (band[0], 1.0, band[1]), strict=True):
        moved = sum(_exposed(one, computing, overlap) for one in (exchange, link))
        ends.append(max((computing + moved + host) * scale, loader_seconds))
    parts |= {"dispatch": sent, "exchange": exchange, "host link": link, "host": host, "loader": loader_seconds}
    return StepTime(Interval(*ends), parts, _bound(parts))


def kernel_seconds(kernel: Kernel, device: Device, shares: Mapping[str, float]) -> float:
    """One kernel on a device: the longest of its arithmetic, its traffic and its launches."""
    rate = device.peak(kernel.dtype) * shares.get(kernel.kind, 1.0)
    traffic = kernel.bytes / (device.bandwidth * shares["memory"])
    return max(kernel.busy_flops / rate, traffic, kernel.launches * device.launch_seconds)


def exchange_seconds(kernel: Kernel, device: Device, gpus: int, shares: Mapping[str, float]) -> float:
    """A collective operation as a ring: (n - 1) / n of its bytes over the link, twice for a sum that all get."""
    if gpus < 2:
        return 0.0
    passes = 2 if kernel.operator == "all_reduce" else 1
    carried = passes * kernel.bytes if kernel.operator == "broadcast" else passes * kernel.bytes * (gpus - 1) / gpus
    steps = passes * (gpus - 1) * device.launch_seconds
    return kernel.times * (carried / (device.peer_link_bytes_per_second * shares["link"]) + steps)


def _device_parts(work: Work, device: Device, shares: Mapping[str, float]) -> dict[str, float]:
    parts = dict.fromkeys(_ON_DEVICE, 0.0)
    for kernel in work.kernels:
        if kernel.kind in parts:
            parts[kernel.kind] += kernel.times * kernel_seconds(kernel, device, shares)
    return parts


def _host_parts(
    work: Work,
    device: Device,
    gpus: int,
    strategies: Iterable[Offloading],
    parameters: int,
    shares: Mapping[str, float],
) -> tuple[float, float]:
    """Seconds on the host link, and of arithmetic on the host: the ranks of a host share its memory.

    What strategies keep there is there once, and every rank has its share of it: gradients go out, weights come back in
    half precision, and states are read and written. A trace that shows more than that is believed.
    """
    ranks = min(gpus, RANKS_OF_HOST)
    kept = sum(one.host_bytes_per_parameter for one in strategies)
    moved = max(work.total("host link"), 4 * parameters / gpus if kept else 0)
    touched = max(work.total("host"), 2 * kept * parameters / gpus) * ranks
    link = moved / (device.host_link_bytes_per_second * shares["link"])
    return link, touched / (device.host_bandwidth * shares["memory"])


def _exposed(seconds: float, computing: float, overlap: float) -> float:
    return max(seconds - computing, seconds * (1 - overlap))


def _bound(parts: Mapping[str, float]) -> str:
    computing = sum(parts[name] for name in _ON_DEVICE)
    others = {name: parts[name] for name in ("dispatch", "exchange", "host link", "host", "loader")}
    largest = max(others, key=lambda name: others[name])
    if others[largest] > computing:
        return largest
    return max(_ON_DEVICE, key=lambda name: parts[name])
