"""A check as data, and the two decorators that attach this data to a plain function.

The decorated function stays what it was and can be called in a test. The data can be written to JSON, so the
supervisor knows every check without importing the module (and torch) that implements it.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, PlainSerializer

from gonogo.core import docpage
from gonogo.core.capability import Capability
from gonogo.core.criterion import Criterion, Status, StatusName
from gonogo.core.docpage import DocPage
from gonogo.errors import CheckError, ProfileError, did_you_mean

F = TypeVar("F", bound=Callable[..., Any])


class Effort(IntEnum):
    """READ: data and configuration. STEP: forward and backward, leaves no trace. FIT: takes optimizer steps."""

    READ = 0
    STEP = 1
    FIT = 2


# In JSON an effort is its name.
EffortName = Annotated[
    Effort,
    PlainSerializer(lambda effort: effort.name, return_type=str),
    BeforeValidator(lambda value: Effort[value] if value in Effort.__members__ else value),
]


@dataclass(frozen=True, slots=True)
class Param:
    """A keyword-only parameter of the check function: its name, type and default are the YAML schema."""

    name: str
    type: str
    default: bool | int | float | str | None

    def accept(self, value: Any, where: str) -> Any:
        """`value` in the parameter's type, or a ProfileError."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if self.type == "float" and number:
            return float(value)
        if type(value).__name__ == self.type:
            return value
        raise ProfileError(f"{where}: {value!r} is {_a(type(value).__name__)}, {_a(self.type)} was expected")


@dataclass(frozen=True, slots=True)
class Fault:
    """A deliberate defect: `expect` is what the check must answer when `toy` has it."""

    name: str
    title: str
    expect: StatusName
    toy: str


@dataclass(frozen=True, slots=True)
class Check:
    """Everything known about a check without running it. `module` and `name` find the function."""

    id: str
    module: str
    name: str
    needs: tuple[Capability, ...]
    effort: EffortName
    criteria: tuple[Criterion, ...]
    doc: DocPage
    params: tuple[Param, ...] = ()
    after: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()  # prefixes of checks whose findings are consequences when this one fails
    since: str = ""
    faults: tuple[Fault, ...] = ()

    @property
    def category(self) -> str:
        """The part of the id before the dot, with a plug-in's prefix."""
        return self.id.rsplit(".", 1)[0]

    def bind(self, given: dict[str, Any], where: str) -> dict[str, Any]:
        """All parameters with their values: `given` ones checked, defaults for the rest."""
        known = {param.name: param for param in self.params}
        for name in given:
            if name not in known:
                takes = ", ".join(known) or "none"
                raise ProfileError(
                    f"{where}.{name}: unknown parameter {name!r}. It takes: {takes}.{did_you_mean(name, known)}"
                )
        return {
            name: param.accept(given[name], f"{where}.{name}") if name in given else param.default
            for name, param in known.items()
        }


def check(
    *,
    needs: Iterable[Capability],
    effort: Effort,
    criteria: Iterable[Criterion],
    after: Iterable[str] = (),
    explains: Iterable[str] = (),
    since: str = "",
) -> Callable[[F], F]:
    """Declare a function (session, *, parameters) -> Observation to be a check; its file's path is its id."""

    def attach(function: F) -> F:
        where = f"{function.__module__}.{function.__name__}"
        data = Check(
            id=_id_from(function.__module__),
            module=function.__module__,
            name=function.__name__,
            needs=tuple(sorted(needs)),
            effort=effort,
            criteria=tuple(criteria),
            doc=docpage.parse(function.__doc__, where),
            params=_params(function, where),
            after=tuple(after),
            explains=tuple(explains),
            since=since,
        )
        function.check = data  # type: ignore[attr-defined]
        return function

    return attach


def fault(*, expect: Status = Status.FAIL, toy: str = "classifier") -> Callable[[F], F]:
    """Declare a function Subject -> Subject to be a defect that this file's check must answer with `expect`."""

    def attach(function: F) -> F:
        title = (inspect.getdoc(function) or "").split("\n")[0]
        if not title:
            raise CheckError(f"{function.__module__}.{function.__name__}: a fault needs a one-line docstring")
        function.fault = Fault(function.__name__, title, expect, toy)  # type: ignore[attr-defined]
        return function

    return attach


def _id_from(module: str) -> str:
    parts = module.split(".")[-2:]
    if len(parts) < 2:
        raise CheckError(f"{module}: a check lives in a package: the file <category>/<name>.py is the id category.name")
    return ".".join(parts).replace("_", "-")


def _params(function: Callable[..., Any], where: str) -> tuple[Param, ...]:
    found: list[Param] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if parameter.default is inspect.Parameter.empty:
            raise CheckError(f"{where}: the parameter {parameter.name!r} needs a default")
        annotation = parameter.annotation
        name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
        found.append(Param(parameter.name, name, parameter.default))
    return tuple(found)


def _a(noun: str) -> str:
    return f"an {noun}" if noun[:1] in "aeiou" else f"a {noun}"
