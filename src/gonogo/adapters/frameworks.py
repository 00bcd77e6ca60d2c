"""What a user's function returned, or the live object that SUBJECT names -> Subject, by the framework that made it."""

from collections.abc import Callable
from typing import Any

from gonogo.adapters import huggingface, lightning, plain
from gonogo.training.subject import Subject

FRAMEWORKS = (lightning, huggingface)


def as_subject(built: Any, build: Callable[[], Any], text: str) -> Subject:
    """The subject; `build` makes what was built again, for every fresh instance.

    Raises:
        SubjectError: It is nothing that a subject can be made of.
    """
    framework = _of(built)
    if framework is None:
        return plain.as_subject(built, build, text)
    return plain.from_parts(framework.parts(built, text), lambda: framework.parts(build(), text), text)


def of_live(target: Any, text: str) -> Subject | None:
    """The subject of an object that stands in a module, ready made; None where it is no framework's."""
    framework = _of(target)
    if framework is None:
        return None
    return as_subject(framework.fresh(target), lambda: framework.fresh(target), text)


def _of(built: Any) -> Any:
    return next((framework for framework in FRAMEWORKS if framework.accepts(built)), None)
