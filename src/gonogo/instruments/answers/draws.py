"""Random numbers that are drawn while something runs, from whatever generator."""

import re
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

_DRAWS = re.compile(
    r"aten::(rand|randn|randint)(_like)?|aten::(randperm|multinomial|poisson|binomial|native_dropout|normal)"
    r"|aten::(normal|uniform|bernoulli|exponential|cauchy|log_normal|geometric|random)_|aten::bernoulli"
    r"|aten::(_standard_gamma|_sample_dirichlet)"
)


class Draws(TorchDispatchMode):
    """Counts the operations that draw; the seed that a loader draws for its workers is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        single = func._schema.name == "aten::random_" and result.dim() == 0
        self.count += bool(_DRAWS.fullmatch(func._schema.name)) and not single
        return result
