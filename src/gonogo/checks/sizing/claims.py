"""A memory plan on paper is arithmetic, and arithmetic can be checked."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Observation
from gonogo.errors import NotApplicable
from gonogo.sizing import observe_plan
from gonogo.training.session import Session
from gonogo.training.settings import read
from gonogo.training.subject import Subject


@check(
    needs=(),
    effort=Effort.READ,
    criteria=[at_most("wrong_lines", fail=0, source="arithmetic: bytes per parameter, sums, shares of one device")],
    since="0.1",
)
def claims(session: Session) -> Observation:
    """The stated memory plan adds up | The stated memory plan does not add up

    What: reads `memory_plan` of the claims or of the configuration (stages of remedies, each with the lines that it
        leaves) and works out every line again: parameters x bytes of weights, gradients and optimizer states in any
        right layout, sums, savings, what one device holds under the sharding that is named, host memory of what is
        offloaded. `wrong_lines` counts the figures that no right layout allows within the rounding of what is stated.
    Why: two cards of 24 GB are no card of 48 GB, accumulation lowers no weights, and a half that is claimed but not
        taken is missing when the run starts. A plan is approved on paper, and the run ends out of memory.
    Fix: correct the lines of the table; then `gonogo size` traces the step and says which remedies fit.
    Shapes: one row per wrong line, in the order of the plan.
    Units: wrong_lines: {line} (n: figures compared); figures in the unit of the plan.
    Source: arXiv:1910.02054 for bytes per parameter and sharding; arXiv:2110.02861 for 8-bit states.
    """
    config = session.subject.config
    plan = session.claims.memory_plan or (read(config).get("memory_plan") if config is not None else None)
    if not isinstance(plan, Mapping) or "stages" not in plan:
        raise NotApplicable("neither the claims nor the configuration state a memory_plan with stages")
    return observe_plan.plan(plan)


_LINES = {"weights": 28.0, "gradients": 28.0, "optimizer": 56.0, "activations": 12.0, "total": 124.0}


def _planned(subject: Subject, *stages: dict[str, Any], **facts: Any) -> Subject:
    first = {"name": "fp32", "remedies": ["fp32"], "lines": _LINES}
    plan = {"parameters": 7e9, "devices": "2xA100-80GB", "stages": [first, *stages], **facts}
    kept = read(subject.config) if subject.config is not None else {}
    return replace(subject, config={**kept, "memory_plan": plan})


@fault()
def sum_of_cards_as_one(subject: Subject) -> Subject:
    """The memory of two cards is taken for that of each."""
    return _planned(subject, available_per_device=160)


@fault()
def accumulation_saves_weights(subject: Subject) -> Subject:
    """Accumulation is credited with a third of the static memory."""
    return _planned(subject, {"name": "accumulate", "remedies": ["accumulation"], "lines": {"total": 82.0}})


@fault()
def halved_in_silence(subject: Subject) -> Subject:
    """Weights and gradients are halved by an optimizer."""
    lines = {"weights": 14.0, "gradients": 14.0, "optimizer": 14.0}
    return _planned(subject, {"name": "8-bit", "remedies": ["adamw8bit"], "lines": lines})


@fault()
def divided_without_sharding(subject: Subject) -> Subject:
    """Replicas are said to hold half each."""
    return _planned(subject, {"name": "two", "remedies": ["ddp"], "per_device": 62.0, "lines": _LINES})


@fault()
def host_not_counted(subject: Subject) -> Subject:
    """States leave the device for nowhere."""
    lines = {**_LINES, "optimizer": 0.0, "total": 68.0}
    return _planned(subject, {"name": "offload", "remedies": ["offload-states"], "lines": lines})
