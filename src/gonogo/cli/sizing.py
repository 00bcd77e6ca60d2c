"""What `gonogo size` was asked, with torch: the program, the devices and the strategies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gonogo.adapters.locate import locate
from gonogo.core.measurement import Observation, Table
from gonogo.core.profile import parse_yaml
from gonogo.errors import NotApplicable, SubjectError
from gonogo.sizing import changes, observe, observe_plan, observe_time
from gonogo.sizing.answer import Sizing, size
from gonogo.sizing.card.allocator import GIB
from gonogo.sizing.costs.devices import Device, parse
from gonogo.sizing.programs import plans
from gonogo.sizing.programs.program import of_subject
from gonogo.sizing.strategies import named as strategies
from gonogo.training.session import Session

PLANS = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Question:
    """A plan, the kinds of devices it is meant for, and the strategies."""

    plan: plans.Plan
    kinds: tuple[tuple[int, Device], ...]
    strategy: str
    tell: Callable[[str], None] = print

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def devices(self) -> str:
        """The devices in words."""
        return " and ".join(f"{count}x{device.name}" for count, device in self.kinds)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know of the answer."""
        return ("Predicted on a simulated device: nothing was allocated.",)

    def answers(self) -> dict[str, Observation]:
        """Observations by the id of the check that judges them."""
        sized = [self._size(count, device) for count, device in self.kinds]
        worst = min(sized, key=lambda one: (one.go, one.headroom))
        better = [] if worst.go else self._changes(worst)
        found = observe.memory(worst, better)
        if len(sized) > 1:
            found = replace(found, tables=(*found.tables, _compared(sized)))
        time = self._time(worst)
        if time is None:
            return {"sizing.memory-headroom": found}
        if "share" in time.measurements:
            return {"sizing.memory-headroom": found, "sizing.time-budget": time}
        # Nothing is planned that it could be held against: it is told beside the memory.
        measured = {**found.measurements, **time.measurements}
        return {"sizing.memory-headroom": Observation(measured, found.tables + time.tables)}

    def _time(self, sizing: Sizing) -> Observation | None:
        facts = self.plan.training
        try:
            return observe_time.time(
                sizing, tokens=facts.get("tokens"), days=facts.get("days"), price=facts.get("price_per_hour")
            )
        except NotApplicable:  # the answer on memory says what could not be traced
            return None

    def _size(self, count: int, device: Device) -> Sizing:
        # Only the code of a user can leak from the second step to the third.
        steps = 3 if self.plan.program.update is not None or not self.plan.training.get("sequence") else 2
        return size(self.plan.program, device, count, strategies.parse(self.strategy, count), steps=steps)

    def _changes(self, worst: Sizing) -> list[changes.Change]:
        chosen = strategies.parse(self.strategy, worst.count)
        self.tell(f"{worst.answer}; looking for the smallest change that makes it fit")
        return changes.smallest(self.plan.program, worst.device, worst.count, chosen, self.tell)


@dataclass(frozen=True, slots=True)
class OnPaper:
    """A memory plan that states its figures: they are worked out again, and nothing is traced."""

    name: str
    stated: Mapping[str, Any]

    devices = "paper"
    notes = ("Arithmetic alone: nothing was traced. `gonogo size` with a model or a program traces its step.",)

    def answers(self) -> dict[str, Observation]:
        """The audit of the plan."""
        return {"sizing.claims": observe_plan.plan(self.stated)}


def question(
    subject: str,
    overrides: Mapping[str, Any],
    gpu: str | None,
    strategy: str | None,
    seq: int | None,
    batch: int | None,
    price: float | None = None,
    tell: Callable[[str], None] = print,
) -> Question | OnPaper:
    """The question, from the command line and what the subject itself states.

    Raises:
        SubjectError: Something is missing, unknown or impossible.
    """
    if subject.endswith(PLANS) and Path(subject).is_file():
        written = parse_yaml(Path(subject).read_text(encoding="utf-8"), subject)
        if "memory_plan" in written and "model" not in written:
            return OnPaper(subject, written["memory_plan"])
    plan = _plan(subject, overrides, seq, batch)
    if price is not None:
        plan = replace(plan, training={**plan.training, "price_per_hour": price})
    wanted = gpu or plan.training.get("gpus")
    if not wanted:
        raise SubjectError(f"{subject}: no device was given; say --gpu 2xA5000, or training: gpus: in the plan")
    chosen = str(plan.training.get("strategy") or "") if strategy is None else strategy.replace("none", "")
    kinds = parse(str(wanted))
    for count, _ in kinds:
        strategies.parse(chosen, count)  # refused before anything takes time
    return Question(plan, kinds, chosen, tell)


def _plan(subject: str, overrides: Mapping[str, Any], seq: int | None, batch: int | None) -> plans.Plan:
    path = Path(subject)
    if subject.endswith(PLANS) and path.is_file() and not _names_code(path):
        return plans.read(path, sequence=seq, batch=batch)
    if path.is_dir() and (path / "config.json").is_file():
        return plans.read(path / "config.json", sequence=seq, batch=batch)
    if subject.count("/") == 1 and ":" not in subject and not path.exists() and not subject.endswith((*PLANS, ".py")):
        return plans.of_id(subject, sequence=seq, batch=batch)
    found = locate(subject, dict(overrides))
    if seq or batch:
        raise SubjectError(f"{subject}: --seq and --batch are for plans; a program says its own, by its first batch")
    facts = {"gpus": found.claims.devices or None, "strategy": found.claims.strategies or None}
    return plans.Plan(found.name, of_subject(Session(found)), {key: value for key, value in facts.items() if value})


def _names_code(path: Path) -> bool:
    """Is it a YAML file that names a Subject's factory?"""
    stated = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    return bool({"_target_", "class_path"} & stated.keys())


def _compared(sized: list[Sizing]) -> Table:
    rows = tuple((f"{one.count}x{one.device.name}", one.answer, f"{one.needed / GIB:.1f}") for one in sized)
    return Table("Each kind of device", ("devices", "answer", "needed, GiB"), rows)
