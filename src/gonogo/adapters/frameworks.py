"""What a user's function returned, or the live object that SUBJECT names -> Subject, by the framework that made it."""

from collections.abc import Callable, Mapping
from typing import Any

from gonogo.adapters import huggingface, lightning, plain
from gonogo.adapters.config_files import Written
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


def of_configuration(written: Written) -> Subject:
    """The subject of a configuration that names code; checks may build it from another one."""
    built = written.build()
    framework = _of(built)
    if framework is None:
        return as_subject(built, written.build, written.text)

    def parts(shown: Mapping[str, Any]) -> dict[str, Any]:
        made = framework.parts(written.changed(shown).build(), written.text)
        return {**made, "config": shown, "with_config": parts}

    return plain.from_parts(parts(written.shown), lambda: parts(written.shown), written.text)


def of_live(target: Any, text: str) -> Subject | None:
    """The subject of an object that stands in a module, ready made; None where it is no framework's."""
    framework = _of(target)
    if framework is None:
        return None
    return as_subject(framework.fresh(target), lambda: framework.fresh(target), text)


def _of(built: Any) -> Any:
    return next((framework for framework in FRAMEWORKS if framework.accepts(built)), None)
