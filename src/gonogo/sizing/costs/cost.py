"""What a run takes: hours, money, energy, utilisation, disk, and how much of it a budget buys; intervals throughout."""

from collections.abc import Mapping
from dataclasses import dataclass

from gonogo.errors import SubjectError
from gonogo.sizing.costs.devices import Device
from gonogo.sizing.costs.roofline import Interval, StepTime
from gonogo.sizing.costs.roofline import step_time as step_time
from gonogo.sizing.costs.workload import Work
from gonogo.sizing.costs.workload import work_of as work_of


@dataclass(frozen=True, slots=True)
class Cost:
    """A run of `tokens` tokens, or samples where there are no tokens.

    Attributes:
        utilisation: MFU: needed FLOPs over dense peak.
        energy_kwh: At the power limit of the devices, without hosts and cooling.
        money: USD; None without a price.
        price: What the money was computed with, in words, with its date.
    """

    step: StepTime
    steps: float
    steps_per_second: Interval
    tokens_per_second: Interval
    hours: Interval
    energy_kwh: Interval
    money: Interval | None
    price: str
    utilisation: Interval

    def share(self, *, days: float | None = None, money: float | None = None) -> Interval:
        """Share of the tokens wished for that so many days, or so much money, buy; 1 is all, above 1 there is room.

        Raises:
            SubjectError: Neither is given, or one is not positive, or there is no price.
        """
        for name, given in (("days", days), ("money", money)):
            if given is not None and not given > 0:
                raise SubjectError(f"a budget of {given!r} {name}; expected more than 0")
        if money is not None and self.money is None:
            raise SubjectError("a budget of money needs a price per hour: give --price")
        bounds = [self.hours.over(days * 24)] if days is not None else []
        bounds += [self.money.over(money)] if money is not None and self.money is not None else []
        if not bounds:
            raise SubjectError("a budget is missing: give days, money, or both")
        return min(bounds, key=lambda bound: bound.point)


def cost(
    work: Work,
    time: StepTime,
    device: Device,
    gpus: int,
    tokens_per_step: float,
    tokens: float,
    *,
    price: float | None = None,
    overhead: float = 0.0,
) -> Cost:
    """What a run of `tokens` tokens takes.

    Args:
        work: Of one step of one rank.
        time: Of one step.
        device: Of every rank.
        gpus: Ranks.
        tokens_per_step: Of all ranks and all micro-batches.
        tokens: Wished for.
        price: USD an hour for one device, instead of the table's.
        overhead: Time lost to evaluation, checkpoints and restarts, as a share of training.

    Raises:
        SubjectError: A number is not positive, or the overhead negative.
    """
    _positive({"devices": gpus, "tokens of one step": tokens_per_step, "tokens": tokens})
    if overhead < 0 or (price is not None and not price >= 0):
        raise SubjectError(f"overhead {overhead!r} and price {price!r}; expected 0 or more")
    steps = tokens / tokens_per_step
    hours = time.seconds * (steps * (1 + overhead) / 3600)
    rate = device.price_per_hour if price is None else price
    words = f"{rate:.2f} USD per device and hour, " + (
        "as given" if price is not None else f"indicative: {device.price_source} ({device.price_date})"
    )
    return Cost(
        time,
        steps,
        time.seconds.over(1.0),
        time.seconds.over(tokens_per_step),
        hours,
        hours * (gpus * device.power_watts / 1000),
        hours * (gpus * rate),
        words,
        time.seconds.over(work.model_flops / device.peak(work.dtype)),
    )


def seconds_at(flops: float, device: Device, gpus: int, utilisation: float, dtype: str = "bfloat16") -> float:
    """Seconds for FLOPs on all devices together at a utilisation of their dense peak.

    Raises:
        SubjectError: The utilisation is not within 0 and 1.
    """
    if not 0 < utilisation <= 1:
        raise SubjectError(f"a utilisation of {utilisation!r}; expected more than 0 and at most 1")
    _positive({"devices": gpus})
    return flops / (device.peak(dtype) * gpus * utilisation)


def checkpoint_storage(bytes_each: int, steps: int, every: int, keep: int | None = None) -> int:
    """Bytes on disk when a run of `steps` steps writes a checkpoint after every `every`, and at its end.

    Keeping the last `keep` still needs room for one more: the oldest goes when the newest is whole.
    """
    _positive({"steps": steps, "steps between checkpoints": every, **({"kept checkpoints": keep} if keep else {})})
    written = -(-steps // every)
    return bytes_each * (written if not keep else min(written, keep + 1))


def _positive(named: Mapping[str, float]) -> None:
    for name, value in named.items():
        if not 0 < value < float("inf"):
            raise SubjectError(f"{name}: {value!r}; expected more than 0")
