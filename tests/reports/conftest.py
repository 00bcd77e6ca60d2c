"""Three reports built by hand: one per verdict. The NO-GO one has every status, every skip and every kind of table."""

import math

import pytest

from gonogo.core.check import Effort
from gonogo.core.criterion import Status, at_least, at_most, within
from gonogo.core.measurement import Evidence, Measurement, Observation, Table
from gonogo.core.plan import Skip
from gonogo.core.report import Failure, Report, Result


def make_result(check_id, status=Status.PASS, *, measured=(), tables=(), **fields):
    """A result whose verdicts follow from (criterion, measurement) pairs."""
    verdicts = tuple(criterion.judge(measurement) for criterion, measurement in measured)
    criteria = tuple(criterion for criterion, _ in measured)
    numbers = {criterion.measure: measurement for criterion, measurement in measured}
    defaults = {
        "title": check_id.split(".")[-1].replace("-", " ").capitalize(),
        "reason": "; ".join(verdict.reason for verdict in verdicts if verdict.status is status) or "as expected",
        "evidence": Evidence.FULL if measured else Evidence.DECLARED,
        "seconds": 0.4 if measured else 0.0,
        "effort": Effort.STEP,
        "verdicts": verdicts,
        "criteria": criteria,
        "defaults": criteria,
        "observation": Observation(numbers, tuple(tables)) if measured else None,
    }
    return Result(id=check_id, status=status, **{**defaults, **fields})


def make_report(*results, **fields):
    """A report about a small classifier."""
    defaults = {
        "subject": "captioning/train.py:subject",
        "profile": {"name": "standard", "seed": 0, "required": [r.id for r in results if r.required]},
        "environment": {"python": "3.11.7", "torch": "2.13.0+cpu", "device": {"name": "cpu", "threads": 1}},
        "provenance": {"commit": "8f31c20", "dirty": False, "config": "conf/base.yaml"},
        "started": "2026-11-20T09:30:00",
        "seconds": 41.2,
        "gonogo": "0.1.0",
    }
    return Report(results=tuple(results), **{**defaults, **fields})


def curve(points=120, start=9.2, rate=0.04):
    """A falling training loss and a validation loss that stays above it."""
    steps = range(0, points * 5, 5)
    rows = [
        (step, start * math.exp(-rate * i) + 0.31, start * math.exp(-rate * i * 0.8) + 0.9)
        for i, step in enumerate(steps)
    ]
    return Table("Loss on one batch", ("step", "training loss", "validation loss"), tuple(rows), "line")


SHARED = Table(
    "Recordings found in both splits",
    ("file", "train row", "validation row", "similarity"),
    (("street_017.wav", 17, 3, 1.0), ("rain_204.wav", 204, 41, 0.9991), ("birds_009.wav", 9, 77, 0.9987)),
    total=61,
)
NORMS = Table(
    "Gradient norm by layer",
    ("layer", "norm"),
    (
        ("encoder.conv1", 1.92),
        ("encoder.conv2", 0.74),
        ("bridge.query", 0.0),
        ("decoder.attention", 2.4),
        ("lm_head", 3.1),
    ),
    "bar",
)
HISTOGRAM = Table(
    "Caption lengths",
    ("tokens", "captions"),
    tuple((5 * i, round(900 * math.exp(-((i - 4) ** 2) / 6))) for i in range(12)),
    "bar",
)
ATTENTION = Table(
    "Mean attention",
    ("query", "audio", "text", "image", "pad"),
    (
        ("q0", 0.61, 0.2, 0.19, 0.0),
        ("q1", 0.1, 0.72, 0.18, 0.0),
        ("q2", 0.33, 0.3, 0.37, None),
        ("q3", 0.05, 0.05, 0.9, 0.0),
    ),
    "heatmap",
)


def _passes():
    low = at_most("loss_ratio", warn=0.05, fail=0.1, source="a network can memorise one batch (Karpathy 2019)")
    near = within("initial_loss", warn=(8.9, 9.6), fail=(8.0, 11.0), source="ln(vocabulary) = 9.21")
    return (
        make_result(
            "data.caption-lengths",
            measured=[(at_most("truncated", warn=0.01, source="habit"), Measurement(0.002, n=4981))],
            tables=[HISTOGRAM],
        ),
        make_result(
            "learning.one-batch-fit",
            measured=[(low, Measurement(0.034, low=0.031, high=0.038, n=60))],
            tables=[curve()],
            required=True,
            seconds=12.6,
            effort=Effort.FIT,
            fix="Raise the learning rate.",
            why="What cannot memorise cannot learn.",
        ),
        make_result("loss.initial-loss", measured=[(near, Measurement(9.27, n=256))], required=True),
        make_result(
            "model.parameter-count",
            measured=[
                (within("parameters", fail=(1.2e8, 1.4e8), source="claims"), Measurement(131_072_000.0, "{parameter}"))
            ],
            evidence=Evidence.READ,
        ),
    )


LOSS = at_most("loss", fail=1, source="habit")


def _skips():
    reasons = {
        Skip.NOT_APPLICABLE: ("model.causality", "the claims say that the model is not causal"),
        Skip.MISSING: ("evaluation.baseline", "no predict: give Subject(predict=...)"),
        Skip.BLOCKED: ("learning.data-order", "blocked by data.split-overlap"),
        Skip.DESELECTED: ("efficiency.throughput", "not selected by the profile or command line"),
        Skip.OVER_BUDGET: ("learning.learning-rate", "needs 60 s, 12 s are left"),
        Skip.INTERRUPTED: ("reproducibility.resume", "interrupted by the user"),
    }
    return tuple(
        make_result(
            i,
            Status.SKIP,
            skip=skip,
            reason=why,
            criteria=(LOSS,),
            required=skip in (Skip.NOT_APPLICABLE, Skip.MISSING),
        )
        for skip, (i, why) in reasons.items()
    )


def _failures():
    overlap = at_most("shared", warn=0.0, fail=0.01, source="no sample may be in two splits")
    zero = at_most("without_gradient", fail=0, source="every trainable tensor must learn")
    slow = at_least("examples_per_second", warn=50, fail=5, source="cost estimate of the claims")
    fix = "Split by recording, not by clip: pass `groups=` to the subject.\n\nDrop the listed rows first."
    crash = Failure(
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (4x512 and 768x256)",
        "warning: falling back\nRuntimeError: mat1 and mat2",
        'Traceback (most recent call last):\n  File "model.py", line 31',
    )
    return (
        make_result(
            "data.split-overlap",
            Status.FAIL,
            title="Training and validation share recordings",
            measured=[
                (overlap, Measurement(0.122, low=0.098, high=0.149, n=500)),
                (at_most("near_duplicates", warn=50, source="habit"), Measurement(61, "{pair}")),
            ],
            tables=[SHARED],
            required=True,
            fix=fix,
            why="A shared recording makes the validation score a memory test.",
        ),
        make_result(
            "gradient.flow",
            Status.FAIL,
            title="Some trainable tensors never receive a gradient",
            measured=[(zero, Measurement(1, "{tensor}"))],
            tables=[NORMS],
            fix="Call `.detach()` only on targets.",
            why="A part without gradient stays random for the whole run.",
        ),
        make_result(
            "evaluation.metric-agreement",
            Status.ERROR,
            title="The metric cannot be computed",
            reason=crash.message,
            criteria=(LOSS,),
            failure=crash,
            fix="Run the metric on one batch by hand.",
        ),
        make_result(
            "efficiency.memory",
            Status.WARN,
            title="Throughput is below the claim",
            measured=[(slow, Measurement(38.4, "{example}/s", low=31.0, high=52.0, n=32))],
            tables=[ATTENTION],
            fix="Raise `workers`, or correct the claim.",
            why="The estimate of cost rests on it.",
        ),
        make_result(
            "config.unused-keys",
            Status.FAIL,
            title="Keys of the config are never read",
            measured=[(at_most("unused", fail=0, source="typing errors hide here"), Measurement(2, "{key}"))],
            waived="legacy keys, removed in v2 (until 2027-01-31)",
        ),
    )


@pytest.fixture
def go():
    return make_report(*_passes())


@pytest.fixture
def no_go():
    proxy = "a 4-layer stand-in (12 M parameters) measured in place of the 131 M model"
    notes = ("stale waiver: model.parameter-count passes, so its waiver can go",)
    return make_report(*_failures(), *_passes(), *_skips(), proxy=proxy, notes=notes, seconds=101.7)


@pytest.fixture
def hold():
    return make_report(*_passes(), _skips()[1])


@pytest.fixture
def reports(go, no_go, hold):
    return {"go": go, "no_go": no_go, "hold": hold}
