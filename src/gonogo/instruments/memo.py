"""Instruments: measuring functions whose results several checks share within one session."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from gonogo.training import seeding
from gonogo.training.session import Session

P = ParamSpec("P")
T = TypeVar("T")


def instrument(function: Callable[Concatenate[Session, P], T]) -> Callable[Concatenate[Session, P], T]:
    """A measuring function, memoised per session by name and arguments; a default says the same as its value.

    It runs under a seed of its own and restores all generators: its result must not depend on which check asks
    first, or a resumed run would differ from an unbroken one.
    """
    signature = inspect.signature(function)
    name = (function.__module__, function.__qualname__)

    @functools.wraps(function)
    def measured(session: Session, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (*name, *_chosen(signature, signature.bind(session, *args, **kwargs).arguments))
        if key not in session.memo:
            with seeding.seeded(seeding.derive(session.seed, *key)):
                session.memo[key] = function(session, *args, **kwargs)
        return session.memo[key]

    return measured


def _chosen(signature: inspect.Signature, given: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """The arguments after the session that differ from their defaults, in order."""
    known = signature.parameters
    return tuple((name, value) for name, value in list(given.items())[1:] if value != known[name].default)
