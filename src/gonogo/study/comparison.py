"""Trials -> who is ahead of whom beyond noise, and what else differed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gonogo.study import statistics
from gonogo.study.design import Metric, Study, Trial
from gonogo.study.record import Key
from gonogo.study.statistics import Estimate

PARAMETERS = 0.10  # share by which sizes may differ before it is told
AHEAD, BEHIND, UNDECIDED = "ahead", "behind", "undecided"


@dataclass(frozen=True, slots=True)
class Contrast:
    """The reference against one variant, in one metric.

    `difference` is the reference's value minus the variant's, seed by seed; `samples` the same over the test samples,
    each averaged over seeds, where trials told them. Both must leave out 0 for a decision.
    """

    variant: str
    metric: Metric
    difference: Estimate
    samples: Estimate | None

    @property
    def standing(self) -> str:
        """Of the reference: ahead, behind or undecided."""
        signs = {estimate.sign for estimate in (self.difference, self.samples) if estimate}
        if len(signs) != 1 or 0 in signs:
            return UNDECIDED
        return AHEAD if (signs == {1}) == self.metric.higher_is_better else BEHIND


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that a study found."""

    study: Study
    trials: Mapping[Key, Trial]

    def of(self, variant: str) -> list[Trial]:
        """The trials of a variant that reached their end, by seed."""
        found = (self.trials.get((variant, seed)) for seed in self.study.seeds)
        return [trial for trial in found if trial and not trial.failure]

    def estimate(self, variant: str, metric: str, view: str = "") -> Estimate | None:
        """The mean over seeds, under a condition if one is named; None where a trial has no such number."""
        values = [(trial.views.get(view, {}) if view else trial.metrics).get(metric) for trial in self.of(variant)]
        known = [value for value in values if value is not None]
        return statistics.mean(known) if known and len(known) == len(values) else None

    def difference(self, variant: str, other: str, metric: str, view: str = "") -> Estimate | None:
        """One variant minus another, paired by seed; None where no seed has both."""

        def value(name: str, seed: int) -> float | None:
            trial = self._trial(name, seed)
            return (trial.views.get(view, {}) if view else trial.metrics).get(metric) if trial else None

        pairs = [(value(variant, seed), value(other, seed)) for seed in self.study.seeds]
        known = [ours - theirs for ours, theirs in pairs if ours is not None and theirs is not None]
        return statistics.mean(known) if known else None

    @property
    def failures(self) -> dict[Key, str]:
        """What did not reach its end, and why."""
        return {key: trial.failure for key, trial in self.trials.items() if trial.failure}

    @property
    def views(self) -> list[str]:
        """The other conditions that trials were evaluated under."""
        return list(dict.fromkeys(view for trial in self.trials.values() for view in trial.views))

    def contrasts(self, metric: Metric | None = None) -> list[Contrast]:
        """The reference against every other variant, in the metric that decides unless another is named."""
        asked = metric or self.study.metrics[0]
        others = (variant for variant in self.study.variants if variant != self.study.reference)
        return [contrast for variant in others if (contrast := self._contrast(variant, asked))]

    def _contrast(self, variant: str, metric: Metric) -> Contrast | None:
        difference = self.difference(self.study.reference, variant, metric.name)
        if difference is None:
            return None
        pairs = [
            (ours, theirs)
            for seed in self.study.seeds
            if (ours := self._trial(self.study.reference, seed)) and (theirs := self._trial(variant, seed))
        ]
        samples = [(ours.samples.get(metric.name, ()), theirs.samples.get(metric.name, ())) for ours, theirs in pairs]
        return Contrast(variant, metric, difference, _over_samples(samples))

    def _trial(self, variant: str, seed: int) -> Trial | None:
        trial = self.trials.get((variant, seed))
        return trial if trial and not trial.failure else None

    def flags(self) -> list[str]:
        """Where the reference does not beat a variant beyond noise, and why nobody can tell."""
        found = [_flag(self.study.reference, contrast) for contrast in self.contrasts()]
        found += [f"{name}, seed {seed}, did not reach its end: {why}" for (name, seed), why in self.failures.items()]
        return [flag for flag in found if flag]

    def differences(self) -> list[tuple[str, str, str, str]]:
        """(variant, what, its value, that of the reference) wherever the procedure or the size was not the same."""
        reference = next(iter(self.of(self.study.reference)), None)
        if reference is None:
            return []
        rows = []
        for variant in self.study.variants:
            for trial in self.of(variant)[:1]:
                rows += [(variant, *row) for row in _unlike(trial, reference)]
        return rows


def _over_samples(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Estimate | None:
    """Of samples that all trials answered alike in number; None if any trial told none."""
    sizes = {len(side) for pair in pairs for side in pair}
    if len(sizes) != 1 or 0 in sizes:
        return None
    rows = zip(*([ours - theirs for ours, theirs in zip(*pair, strict=True)] for pair in pairs), strict=True)
    return statistics.over_samples([sum(row) / len(row) for row in rows])


def _flag(reference: str, contrast: Contrast) -> str:
    difference, standing = contrast.difference, contrast.standing
    if standing == AHEAD:
        return ""
    size = f"{contrast.metric.name} {difference.mean:+.3g}"
    if difference.low is not None:
        size += f" ({difference.low:+.3g} to {difference.high:+.3g})"
    over = f"over {difference.n} seed{'s' if difference.n > 1 else ''}"
    if standing == BEHIND:
        return f"{reference} is behind {contrast.variant}: {size} {over}"
    return f"{reference} does not beat {contrast.variant} beyond noise: {size} {over}; {_remedy(contrast)}"


def _remedy(contrast: Contrast) -> str:
    if contrast.difference.low is None:
        return "one seed says nothing about the next: give at least 2"
    if contrast.difference.sign:
        return "the seeds agree, the test samples do not: more of them would decide"
    needed = statistics.seeds_needed(contrast.difference)
    if needed is None:
        return "no number of seeds would decide at this difference"
    return f"about {max(needed, contrast.difference.n + 1)} seeds would decide at this spread"


def _unlike(trial: Trial, reference: Trial) -> list[tuple[str, str, str]]:
    rows = [
        (name, str(trial.procedure.get(name, "not told")), str(reference.procedure.get(name, "not told")))
        for name in dict.fromkeys((*reference.procedure, *trial.procedure))
        if trial.procedure.get(name) != reference.procedure.get(name)
    ]
    ours, theirs = trial.parameters, reference.parameters
    if ours is not None and theirs and abs(ours / theirs - 1) > PARAMETERS:
        rows.append(("parameters", f"{ours:,} ({ours / theirs:.2g} of the reference)", f"{theirs:,}"))
    return rows
