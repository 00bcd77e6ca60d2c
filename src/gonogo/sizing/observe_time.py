"""How long and how dear: the time of a step on a device as measurements."""

from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.sizing.answer import Sizing
from gonogo.sizing.costs.cost import Cost, cost, step_time
from gonogo.sizing.costs.roofline import Interval


def time(
    sizing: Sizing, *, tokens: float | None = None, days: float | None = None, price: float | None = None
) -> Observation:
    """Seconds of a step, and of a run of `tokens` tokens (samples where there are none): hours, money, energy.

    `share` is what part of the tokens the days buy.

    Raises:
        NotApplicable: The step could not be traced.
    """
    if sizing.work is None or not sizing.work.operators:
        raise NotApplicable(f"the step could not be traced: {sizing.unknown}")
    step = step_time(sizing.work, sizing.device, sizing.count, sizing.chosen, parameters=sizing.parameters)
    per_step = sizing.tokens * sizing.count
    run = cost(sizing.work, step, sizing.device, sizing.count, per_step, tokens or per_step, price=price)
    found = {
        "step": _measured(step.seconds, "s"),
        "throughput": _measured(run.tokens_per_second, "{token}/s"),
        "utilisation": _measured(run.utilisation, "1"),
    }
    if tokens:
        found["hours"] = _measured(run.hours, "h")
    if tokens and days:
        found["share"] = _measured(run.share(days=days), "1")
    return Observation(found, (_table(sizing, run, tokens, days), _parts(run)))


def _measured(interval: Interval, unit: str) -> Measurement:
    return Measurement(interval.point, unit, interval.low, interval.high)


def _table(sizing: Sizing, run: Cost, tokens: float | None, days: float | None) -> Table:
    rows = [
        ("seconds per step", _range(run.step.seconds)),
        ("steps per second", _range(run.steps_per_second)),
        ("tokens per second", _range(run.tokens_per_second)),
        ("utilisation of the peak", _range(run.utilisation)),
        ("limited by", run.step.bound),
    ]
    if tokens:
        rows += [("hours", _range(run.hours)), ("days", _range(run.hours * (1 / 24)))]
        rows += [("energy, kWh", _range(run.energy_kwh))]
        rows += [("money, USD", _range(run.money))] if run.money else []
        rows.append(("price", run.price))
    if tokens and days:
        rows.append((f"share of {tokens:.3g} tokens in {days:g} days", _range(run.share(days=days))))
    measured = "calibrated on this machine" if sizing.device.measured else "not calibrated: a band, not a point"
    rows.append(("certainty", measured))
    return Table("Time and cost: likely (from .. to)", ("quantity", "value"), tuple(rows))


def _parts(run: Cost) -> Table:
    rows = tuple((name, seconds) for name, seconds in run.step.parts.items() if seconds)
    return Table("Seconds of a step by part, before anything overlaps", ("part", "s"), rows, kind="bar")


def _range(interval: Interval) -> str:
    return f"{interval.point:.3g} ({interval.low:.3g} .. {interval.high:.3g})"
