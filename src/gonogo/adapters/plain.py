"""What a plain PyTorch project has -> Subject."""

from collections.abc import Callable
from typing import Any

from gonogo.errors import SubjectError
from gonogo.training.subject import Subject


def as_subject(built: Any, build: Callable[[], Any], text: str) -> Subject:
    """The subject in what a user's function returned; `build` calls that function again.

    Raises:
        SubjectError: It returned something else.
    """
    if isinstance(built, Subject):
        return built
    what = "None: is a `return` missing?" if built is None else type(built).__name__
    raise SubjectError(
        f"{text}() returned {what} Expected a gonogo.Subject"
        if built is None
        else f"{text}() returned {what}; expected a gonogo.Subject"
    )
