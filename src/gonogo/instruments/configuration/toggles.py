"""Which values of a configuration do something: each is changed, and the run built again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gonogo.errors import NotApplicable
from gonogo.instruments.configuration.effects import KEPT, Effects, differing, effects
from gonogo.training.session import Session
from gonogo.training.settings import (
    Setting,
    is_choice,
    is_core,
    is_list,
    is_mechanism,
    is_plumbing,
    number,
    read,
    replaced,
    settings,
)


@dataclass(frozen=True)
class Probe:
    """A configuration, and all that can be seen of the run it describes."""

    session: Session
    config: Mapping[str, Any]
    given: Effects  # of that configuration
    reserve: float  # seconds: with less time left, nothing more is begun

    def changed(self, one: Setting, value: Any) -> "Probe":
        """The same with one value changed."""
        config = replaced(self.config, one.keys, value)
        return replace(self, config=config, given=effects(self.session, config))


def probe(session: Session) -> Probe:
    """The session's own configuration.

    Raises:
        NotApplicable: Its run cannot be built or does not repeat, so that nothing can be compared.
    """
    given = session.subject.config
    config, begin = given if isinstance(given, Mapping) else read(given), session.seconds_left
    try:
        seen = effects(session, config)
        repeats = not differing(seen, effects(session, config))
    except Exception as error:
        raise NotApplicable(
            f"the run cannot be built from its configuration: {type(error).__name__}: {error}"
        ) from None
    if not repeats:
        raise NotApplicable("two builds of one configuration differ, so nothing can be said of its keys")
    return Probe(session, config, seen, max(5.0, begin - session.seconds_left))


def answer(run: Probe, one: Setting) -> str | None:
    """The first thing that changes with a value, "" if nothing does, None if it could not be tried.

    "only ..." is what is kept in the model and changes nothing that is computed.
    """
    kept = ""
    others = list(_others(one.value, one.meaning))
    for value in others:
        if run.session.seconds_left < run.reserve:
            return None
        try:
            changed = differing(run.given, run.changed(one, value).given)
        except Exception as error:  # a value that is refused was read
            return f"refused: {type(error).__name__}"
        if used := [name for name in changed if name not in KEPT]:
            return used[0]
        kept = kept or (f"only {changed[0]}" if changed else "")
    return kept if others else None


def _others(value: Any, meaning: str) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float) and meaning == "norm":
        yield from (value / 1000, value / 1e6) if value else (1e-3, 1e-6)  # so small that any clipping acts
    elif isinstance(value, int):
        yield from dict.fromkeys(v for v in (value // 2, value + 1, 2 * value) if v != value and (v or not value))
    elif isinstance(value, float):
        yield from (0.5, 0.1) if value == 0 else (value / 2, value / 1000, (1 + value) / 2)  # fractions stay so
    elif is_list(value) and all(isinstance(item, str) for item in value):
        yield from [value[:-1]] if len(value) > 1 else []
    elif is_list(value):
        for place, item in enumerate(value):
            yield from ([*value[:place], other, *value[place + 1 :]] for other in _others(item, meaning))


def is_dead(run: Probe, one: Setting, wanted: list[Setting], found: Mapping[str, str | None]) -> bool:
    """Is a silent key dead whatever else is configured?"""
    rest = [other for other in settings(run.config) if other.path != one.path]
    if one.meaning == "rate":  # where another key holds the rate (OneCycleLR, groups), this one is only a relict
        return not any(found[other.path] for other in wanted if other.path != one.path and "lr" in other.name)
    if one.meaning == "batch":
        return True
    # A text may choose an optimizer, a loss or a model in which the key has no meaning.
    texts = [other for other in rest if isinstance(other.value, str)]
    telling = [other for other in texts if not is_plumbing(other) and number(other.value) is None]
    chosen = [other for other in texts if is_choice(other)] if is_core(one) else telling
    if chosen and one.meaning not in ("decay", "norm"):
        return False
    if not (is_core(one) or is_mechanism(one)) or any(_delays(other, one) for other in rest):
        return False
    return not any(_switched(run, one, other) for other in rest if other in wanted)


def _switched(run: Probe, one: Setting, other: Setting) -> bool:
    """Might a key do something with another one switched?"""
    if not (other.value is None or isinstance(other.value, bool) or other.value == 0):
        return False
    try:
        value = not other.value if isinstance(other.value, bool) else 1 if isinstance(other.value, int) else 0.5
        return answer(run.changed(other, value), one) != ""
    except Exception:
        return True


def _delays(other: Setting, one: Setting) -> bool:
    """Does a key say when some part of the training begins, or how long this one takes to?"""
    words = set(other.name.split("_"))
    warms = bool(words & {"warmup", "warm", "rampup"}) and bool(other.words & one.words) and not is_core(one)
    return warms or bool({"start", "begin", "delay", "after", "ramp", "anneal", "from"} & words)
