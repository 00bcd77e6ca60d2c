"""What a user's function returned, or the live object that SUBJECT names -> Subject, by the framework that made it."""

from collections.abc import Callable, Mapping
from typing import Any

from gonogo.adapters import huggingface, plain
from gonogo.adapters.config_files import Written
from gonogo.adapters.lightning import parts as lightning
from gonogo.errors import GonogoError, SubjectError
from gonogo.training.blame import origin
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
    return plain.from_parts(_parts(framework, built, text), lambda: _parts(framework, build(), text), text)


def of_configuration(written: Written) -> Subject:
    """The subject of a configuration that names code; checks may build it from another one."""
    built = written.build()
    framework = _of(built)
    if framework is None:
        return as_subject(built, written.build, written.text)

    def parts(shown: Mapping[str, Any]) -> dict[str, Any]:
        made = _parts(framework, written.changed(shown).build(), written.text)
        return {**made, "config": shown, "with_config": parts}

    return plain.from_parts(parts(written.shown), lambda: parts(written.shown), written.text)


def of_live(target: Any, text: str) -> Subject | None:
    """The subject of an object that stands in a module, ready made; None where it is no framework's."""
    framework = _of(target)
    if framework is None:
        return None
    return as_subject(framework.fresh(target), lambda: framework.fresh(target), text)


def _parts(framework: Any, built: Any, text: str) -> dict[str, Any]:
    try:
        return framework.parts(built, text)
    except GonogoError:
        raise
    except Exception as error:  # loaders, setup and schedulers are the user's code
        raise SubjectError(f"{text}: {type(error).__name__}: {error} ({origin(error)})") from error


def _of(built: Any) -> Any:
    return next((framework for framework in FRAMEWORKS if framework.accepts(built)), None)
