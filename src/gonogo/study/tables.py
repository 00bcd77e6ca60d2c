"""A comparison as tables: for a person, for a picture, for a spreadsheet."""

from collections.abc import Sequence
from itertools import product

from gonogo.core.measurement import Cell, Table
from gonogo.study.comparison import Comparison
from gonogo.study.design import Metric, Point, Trial
from gonogo.study.statistics import Estimate

FULL = "as trained"
_MIB = 1 << 20


def all_tables(comparison: Comparison) -> list[Table]:
    """Every table with rows, the most important first."""
    study = comparison.study
    tables = [overview(comparison), contrasts(comparison)]
    tables += [bars(comparison, metric) for metric in study.metrics]
    tables += [views(comparison, metric) for metric in study.metrics] if comparison.views else []
    tables += [worse_than_constant(comparison)]
    tables += curves(comparison)
    tables += [differences(comparison), trials(comparison)]
    return [table for table in tables if table.rows]


def overview(comparison: Comparison) -> Table:
    """One row a variant: metrics with intervals, cost and size."""
    study = comparison.study
    rows = []
    for name in study.variants:
        done = comparison.of(name)
        metrics = [_shown(comparison.estimate(name, metric.name)) for metric in study.metrics]
        note = "reference" if name == study.reference else study.notes.get(name, "")
        costs = (f"{cost:.3g}" if isinstance(cost, float) else cost for cost in _costs(done))
        rows.append((name, *metrics, *costs, f"{len(done)} of {len(study.seeds)}", note))
    columns = ("variant", *(_titled(metric) for metric in study.metrics))
    heads = (*columns, "CPU seconds", "parameters", "memory, MiB", "seeds", "note")
    return Table("Comparison: mean over seeds (95 % interval)", heads, tuple(rows))


def numbers(comparison: Comparison) -> Table:
    """The same with one number a cell: what a spreadsheet reads."""
    study = comparison.study
    heads = [f"{metric.name}{end}" for metric in study.metrics for end in ("", " low", " high")]
    rows = []
    for name in study.variants:
        found = [comparison.estimate(name, metric.name) for metric in study.metrics]
        cells = [cell for one in found for cell in ((one.mean, one.low, one.high) if one else (None, None, None))]
        done = comparison.of(name)
        seconds = sum(trial.seconds for trial in done) / len(done) if done else None
        rows.append((name, *cells, seconds, *_costs(done), len(done)))
    columns = ("variant", *heads, "seconds", "CPU seconds", "parameters", "memory, MiB", "seeds")
    return Table(study.name, columns, tuple(rows))


def contrasts(comparison: Comparison) -> Table:
    """The reference against every other variant, in the metric that decides."""
    study = comparison.study
    rows = tuple(
        (
            contrast.variant,
            contrast.difference.mean,
            _range(contrast.difference),
            _range(contrast.samples),
            contrast.standing,
        )
        for contrast in comparison.contrasts()
    )
    columns = ("variant", "difference", "95 % over seeds", "95 % over test samples", f"{study.reference} is")
    title = f"{study.reference} minus each variant: {_titled(study.metrics[0])}, paired by seed"
    return Table(title, columns, rows)


def bars(comparison: Comparison, metric: Metric) -> Table:
    """A bar a variant, with its interval."""
    found = [(name, comparison.estimate(name, metric.name)) for name in comparison.study.variants]
    rows = tuple((name, one.mean, one.low, one.high) for name, one in found if one)
    return Table(f"{_titled(metric)} by variant", ("variant", metric.name, "low", "high"), rows, "bar")


def views(comparison: Comparison, metric: Metric) -> Table:
    """A metric under every condition; the constant answer's row is what each must be read against."""
    study, conditions = comparison.study, comparison.views
    rows = []
    for name in study.variants:
        cells = [comparison.estimate(name, metric.name, view) for view in ("", *conditions)]
        note = "answers without looking" if name == study.constant else ""
        rows.append((name, *map(_shown, cells), note) if any(cells) else ())
    title = f"{_titled(metric)} under other conditions, same weights"
    return Table(title, ("variant", FULL, *conditions, ""), tuple(row for row in rows if row))


def curves(comparison: Comparison) -> list[Table]:
    """A picture a curve: the mean over seeds of every variant that has the same x."""
    everyone = [trial for name in comparison.study.variants for trial in comparison.of(name)]
    names = dict.fromkeys(name for trial in everyone for name in trial.curves)
    return [table for name in names for table in _curve(comparison, name)]


def _curve(comparison: Comparison, curve: str) -> list[Table]:
    groups: dict[tuple[float, ...], dict[str, list[float]]] = {}
    for variant in comparison.study.variants:
        found = [trial.curves[curve] for trial in comparison.of(variant) if trial.curves.get(curve)]
        xs = {tuple(x for x, _ in points) for points in found}
        if len(xs) == 1:
            groups.setdefault(xs.pop(), {})[variant] = _means(found)
    return [
        Table(
            f"{curve}, mean over seeds",
            ("step", *series),
            tuple((x, *(values[place] for values in series.values())) for place, x in enumerate(xs)),
            "line",
        )
        for xs, series in groups.items()
    ]


def _means(found: Sequence[Sequence[Point]]) -> list[float]:
    return [sum(y for _, y in points) / len(points) for points in zip(*found, strict=True)]


def differences(comparison: Comparison) -> Table:
    """Where the procedure or the size was not the same."""
    columns = ("variant", "what", "there", f"{comparison.study.reference}")
    return Table("What else differed", columns, tuple(comparison.differences()))


def trials(comparison: Comparison) -> Table:
    """Every trial by itself."""
    metrics = [metric.name for metric in comparison.study.metrics]
    rows = tuple(
        (
            name,
            seed,
            *(trial.metrics.get(metric) for metric in metrics),
            trial.seconds,
            trial.cpu_seconds,
            trial.failure,
        )
        for (name, seed), trial in comparison.trials.items()
    )
    return Table("Every trial", ("variant", "seed", *metrics, "seconds", "CPU seconds", "failure"), rows)


def worse_than_constant(comparison: Comparison) -> Table:
    """Conditions under which a variant is worse, beyond noise of the seeds, than an answer without looking."""
    study = comparison.study
    variants = [name for name in study.variants if study.constant and name != study.constant]
    rows = []
    for name, metric, view in product(variants, study.metrics, ("", *comparison.views)):
        difference = comparison.difference(name, study.constant, metric.name, view)
        if difference and difference.sign == (-1 if metric.higher_is_better else 1):
            found = _shown(comparison.estimate(name, metric.name, view))
            rows.append((name, view or FULL, metric.name, found, f"{difference.mean:+.3g} ({_range(difference)})"))
    columns = ("variant", "condition", "metric", "value", "difference")
    return Table(f"Worse than {study.constant}, beyond noise", columns, tuple(rows))


def _costs(done: Sequence[Trial]) -> tuple[Cell, Cell, Cell]:
    if not done:
        return None, None, None
    seconds = sum(trial.cpu_seconds for trial in done) / len(done)
    held = [trial.memory for trial in done if trial.memory is not None]
    return seconds, done[0].parameters, max(held) / _MIB if held else None


def _titled(metric: Metric) -> str:
    return metric.name if metric.higher_is_better else f"{metric.name} (lower is better)"


def _shown(estimate: Estimate | None) -> str:
    if estimate is None:
        return "undefined"
    return f"{estimate.mean:.3g}" + (f" ({_range(estimate)})" if estimate.low is not None else "")


def _range(estimate: Estimate | None) -> str:
    if estimate is None or estimate.low is None or estimate.high is None:
        return "not known"
    return f"{estimate.low:.3g} to {estimate.high:.3g}"
