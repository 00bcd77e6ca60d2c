"""What several values must be together; every broken rule is reported, not only the first."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from math import isqrt
from typing import Any

from gonogo_recipes.maft.settings_fields import SHARED, Settings


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule: where, what was found against which rule, and what would do."""

    path: str
    broken: str
    suggestion: str

    def __str__(self) -> str:
        return f"{self.path}: {self.broken}; {self.suggestion}"


Rule = Callable[[Settings], Iterator[Problem]]
_RULES: list[tuple[frozenset[str], Rule]] = []


def _rule(*reads: str) -> Callable[[Rule], Rule]:
    """Registers a rule with the values that it reads: it says nothing where one of them is wrong on its own."""

    def register(rule: Rule) -> Rule:
        _RULES.append((frozenset(reads), rule))
        return rule

    return register


def problems(settings: Settings, wrong: Collection[str] = ()) -> list[Problem]:
    """Every broken rule that reads none of the values that are `wrong` on their own."""
    return [problem for reads, rule in _RULES if not reads & set(wrong) for problem in rule(settings)]


def divisors_near(number: int, near: int, limit: int = 3) -> list[int]:
    """The divisors of `number` that are nearest to `near` by ratio, ascending."""
    small = [d for d in range(1, isqrt(number) + 1) if number % d == 0]
    divisors = {*small, *(number // d for d in small)}
    return sorted(sorted(divisors, key=lambda d: (max(d, near) / min(d, near), d))[:limit])


def listed(values: Collection[Any]) -> str:
    """'6, 8 or 12'."""
    texts = [str(value) for value in values]
    return " or ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


@_rule("model.hidden_dim", "model.num_heads")
def _heads_divide(settings: Settings) -> Iterator[Problem]:
    hidden, heads = settings.model.hidden_dim, settings.model.num_heads
    if hidden % heads:
        broken = f"hidden_dim {hidden} is not divisible by num_heads {heads}"
        yield Problem("model.num_heads", broken, f"{listed(divisors_near(hidden, heads))} would do")


@_rule("model.hidden_dim")
def _even_width(settings: Settings) -> Iterator[Problem]:
    hidden = settings.model.hidden_dim
    if hidden % 2:
        broken = f"{hidden} is odd, but the time code is pairs of sine and cosine and an LSTM has two directions"
        yield Problem("model.hidden_dim", broken, f"{listed([n for n in (hidden - 1, hidden + 1) if n])} would do")


@_rule("training.text_learning_rate", "model.freeze_text")
def _zero_rate_is_frozen(settings: Settings) -> Iterator[Problem]:
    if settings.training.text_learning_rate == 0 and not settings.model.freeze_text:
        broken = "0 trains nothing, and model.freeze_text is false"
        suggestion = f"model.freeze_text: true, or {settings.training.learning_rate:g} as learning_rate, would do"
        yield Problem("training.text_learning_rate", broken, suggestion)


@_rule("data.path")
def _path_exists(settings: Settings) -> Iterator[Problem]:
    path = settings.data.path
    if path is not None and not path.exists():
        yield Problem("data.path", f"there is no {str(path)!r}", "give the path of the file as it was downloaded")


@_rule("data.path", "data.task")
def _path_given(settings: Settings) -> Iterator[Problem]:
    generated = settings.data.task in ("correlated", "stressed-word")
    if settings.data.path is None and not generated:
        broken = f"none is given, but task {settings.data.task} reads one"
        yield Problem("data.path", broken, "give the path, or task: stressed-word, which is generated")


@_rule(*(f"{section}.{name}" for section in ("model", "data") for name in SHARED))
def _same_widths(settings: Settings) -> Iterator[Problem]:
    for name in SHARED:
        data, model = getattr(settings.data, name), getattr(settings.model, name)
        if data != model:
            broken = f"{data} comes out of the data, but model.{name} {model} goes in"
            yield Problem(f"data.{name}", broken, f"{model} here, or model.{name}: {data}, would do")
