"""An optimizer or schedule that can be read and does nothing: for passes that must update nothing."""

import contextlib
from typing import Any

_MOVES = ("zero_grad", "load_state_dict", "add_param_group", "backward")


class Still:
    """Takes every call of a real one; what would change it does nothing."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return (lambda *args, **kwargs: None) if name in _MOVES else getattr(self._real, name)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Copies: a warm-up by hand writes rates into them."""
        return [dict(group) for group in self._real.param_groups]

    @property
    def optimizer(self) -> "Still":
        """What Lightning's own wrapper has inside."""
        return self

    def step(self, closure: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Only the closure is called: the loss may be in it."""
        return closure() if callable(closure) else None

    def toggle_model(self, *args: Any, **kwargs: Any) -> contextlib.AbstractContextManager[None]:
        """As in Lightning's wrapper."""
        return contextlib.nullcontext()
