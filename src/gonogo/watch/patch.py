"""Put a function in the place of another, and take it out again."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.compiler import is_compiling

Undo = Callable[[], None]


@dataclass
class _Mistakes:
    """Where mistakes of the watch itself are told: the tracer that was put in last."""

    tell: Callable[[str, Exception], None]


MISTAKES = _Mistakes(lambda where, error: None)


def replace(owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Undo:
    """Replace `owner.name` by `make(original)`; the answer puts the original back."""
    original = owner.__dict__[name] if isinstance(owner, type) else getattr(owner, name)
    wrapper = functools.wraps(original)(make(original))
    # TorchScript compiles the original, and torch.compile folds the wrapper away (see `tap`).
    wrapper.__original_fn = original  # type: ignore[attr-defined]
    wrapper.__script_if_tracing_wrapper = True  # type: ignore[attr-defined]
    setattr(owner, name, wrapper)

    def undo() -> None:
        if owner.__dict__.get(name) is wrapper:  # somebody else's patch on top of ours stays
            setattr(owner, name, original)

    return undo


def tap(tracer: Any, owner: Any, name: str, *, before: Any = None, after: Any = None) -> Undo:
    """Have `before(*arguments)` and `after(answer, *arguments)` called around `owner.name`.

    Not while torch.compile traces: it sees a constant there and folds the tap away.
    """

    def make(old: Callable[..., Any]) -> Callable[..., Any]:
        def tapped(*given: Any, **named: Any) -> Any:
            if is_compiling() or not tracer.here:
                return old(*given, **named)
            if before is not None:
                before(*given, **named)
            answer = old(*given, **named)
            if after is not None:
                after(answer, *given, **named)
            return answer

        return tapped

    return replace(owner, name, make)


def quietly(note: Callable[..., None]) -> Callable[..., None]:
    """`note`, whose own mistakes must never become the script's."""

    @functools.wraps(note)
    def safe(*given: Any, **named: Any) -> None:
        try:
            note(*given, **named)
        except Exception as error:
            MISTAKES.tell(note.__qualname__, error)

    return safe
