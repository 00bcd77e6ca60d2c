"""Instruments: measuring functions whose results several checks share within one session."""

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from gonogo.training import seeding
from gonogo.training.session import Session

P = ParamSpec("P")
T = TypeVar("T")


def instrument(function: Callable[Concatenate[Session, P], T]) -> Callable[Concatenate[Session, P], T]:
    """A measuring function, memoised per session by name and arguments.

    It runs under a seed of its own and restores all generators: its result must not depend on which check asks
    first, or a resumed run would differ from an unbroken one.
    """

    @functools.wraps(function)
    def measured(session: Session, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (function.__module__, function.__qualname__, args, tuple(sorted(kwargs.items())))
        if key not in session.memo:
            with seeding.seeded(seeding.derive(session.seed, *key)):
                session.memo[key] = function(session, *args, **kwargs)
        return session.memo[key]

    return measured
