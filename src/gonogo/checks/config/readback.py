"""What is configured, and what the live objects have."""

import math
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.configuration.live_values import Live, live_values
from gonogo.training.session import Session
from gonogo.training.settings import Setting, is_list, number, only, read, replaced, settings
from gonogo.training.subject import Subject

_SCALING = {"warmup", "schedule", "scheduler", "cycle", "onecycle", "scale", "scaling", "scaled", "base", "mup"}
_ELSEWHERE = {"bn", "norm", "batchnorm", "ema", "moco", "teacher", "target"}  # they have a momentum, too
Row = tuple[str, str, str, bool, bool]  # key, configured, found, do they agree, is there no other explanation


@check(
    needs={C.CONFIG, C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("contradicted", fail=0, source="ours: one configured rate, one rate in use, and nothing scales it"),
        at_most("different", warn=0, source="ours: code may derive the value that it uses from the configured one"),
    ],
    since="0.1",
)
def readback(session: Session) -> Observation:
    """The run uses the values that are configured | The run uses other values than those configured

    What: takes four optimizer steps and compares what the configuration says with what is in use: learning rate, weight
        decay, momentum and betas of the optimizer, batch size, dropout probabilities, and the norm of the gradients.
        `contradicted` counts learning rates that nothing explains: one is configured, all groups use one other,
        constant value, and neither warm-up, schedule nor scaling by the batch size stands between. `different`: others.
    Why: defaults of a parser that overwrite the file, a value that is set again inside the loop, and a factory that
        forgets to pass one on all train well, only not with what was written down.
    Fix: follow the key from where the file is read to where the part is built; remove what overwrites it, or configure
        the value that is used.
    Shapes: one row per configured value.
    Units: contradicted, different: {value} (n: values compared).
    Source: common failure of command lines over files; see also config.dead-keys.
    """
    found = settings(read(session.subject.config))
    live = live_values(session)
    rows = [*_rates(found, live), *_of_groups(found, live), *_others(found, live, session.claims.accumulation)]
    if not rows:
        raise NotApplicable("no key of the configuration names a value that can be read back")
    wrong = [row for row in rows if not row[3]]
    contradicted = sum(row[4] for row in wrong)
    table = Table(
        "Configured and in use", ("key", "configured", "in use", "agrees"), tuple((*r[:3], r[3]) for r in rows)
    )
    return Observation(
        {
            "contradicted": Measurement(contradicted, "{value}", n=len(rows)),
            "different": Measurement(len(wrong) - contradicted, "{value}", n=len(rows)),
        },
        (table,),
    )


def _rates(found: list[Setting], live: Live) -> Iterator[Row]:
    one, used = only(found, "rate"), live.groups.get("lr", ())
    if one is None or not used:
        return
    told = number(one.value) or 0.0
    known = [value for name in ("lr", "initial_lr", "max_lr") for value in live.groups.get(name, ())]
    agree = any(_same(told, value) for value in known)
    scheduled = bool(live.scheduler) or "initial_lr" in live.groups
    # By hand, in a function over a rate of one, per layer, or not begun yet: then nothing can be read back.
    if not agree and (live.moving or len(used) != 1 or not used[0] or (scheduled and 1.0 in known)):
        return
    rates = [other for other in found if {"lr", "rate", "lrs"} & set(other.name.split("_"))]
    words = {word for other in found for word in other.words} & _SCALING
    explained = scheduled or live.optimizers > 1 or len(rates) > 1 or words
    explained = explained or _is_scaled(used[0], told, [only(found, meaning) for meaning in ("batch", "accumulation")])
    yield one.path, str(one.value), _text(used), agree, not explained


def _is_scaled(used: float, told: float, sizes: list[Setting | None]) -> bool:
    """By a power of two, the batch size or the accumulation, or the root of one (n / 256, sqrt(n / 256))?"""
    if used <= 0 or told <= 0:
        return False
    factors = [0.0, *(math.log2(max(1.0, number(one.value) or 1.0)) for one in sizes if one is not None)]
    halves = [2 * math.log2(used / told) - power * factor for factor in factors for power in (1, 2, -2)]
    return any(abs(each - round(each)) < 1e-6 for each in halves)


def _of_groups(found: list[Setting], live: Live) -> Iterator[Row]:
    for meaning, name in (("decay", "weight_decay"), ("momentum", "momentum")):
        one, used = only(found, meaning), live.groups.get(name, ())
        # Without that field the optimizer is another one; zero is also what groups without decay have.
        if one is not None and used and not one.words & _ELSEWHERE:
            told = number(one.value) or 0.0
            yield one.path, str(one.value), _text(used), any(_same(told, value) for value in used), False
    for one in found:
        if one.meaning == "betas" and is_list(one.value) and "beta1" in live.groups:
            used = [live.groups.get(f"beta{place}", ()) for place, _ in enumerate(one.value, 1)]
            agree = all((number(b) or 0.0) in v for b, v in zip(one.value, used, strict=True))
            yield one.path, str(list(one.value)), "; ".join(map(_text, used)), agree, False


def _others(found: list[Setting], live: Live, accumulation: int) -> Iterator[Row]:
    batch, dropout, norm = only(found, "batch"), only(found, "dropout"), only(found, "norm")
    if batch is not None and live.batch:
        told = number(batch.value) or 0.0
        agree = told in (live.batch, live.batch * accumulation)
        yield batch.path, str(batch.value), str(live.batch), agree, False
    if dropout is not None and live.dropout:
        told = number(dropout.value) or 0.0
        yield dropout.path, str(dropout.value), _text(live.dropout), any(_same(told, p) for p in live.dropout), False
    limit = number(norm.value) if norm is not None else None
    if norm is not None and limit and max(live.norms, default=0.0) > 0:
        agree = max(live.norms) <= limit * 1.001 or max(live.largest) <= limit  # by norm, or by value
        yield norm.path, str(norm.value), f"norms up to {max(live.norms):.4g}", agree, False


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-12)


def _text(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


@fault(toy="classifier")
def another_rate(subject: Subject) -> Subject:
    """The file says one learning rate, the optimizer has another."""
    return replace(subject, config=replaced(read(subject.config), ("optimizer", "lr"), 1e-4))


@fault(toy="multimodal", expect=Status.WARN)
def dropout_set_again(subject: Subject) -> Subject:
    """The dropout probability is set in the code, whatever is configured."""

    def change(model: nn.Module) -> nn.Module:
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.3
        return model

    return subject.map_model(change)
