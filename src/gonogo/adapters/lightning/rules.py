"""What Lightning itself refuses before the first batch: hooks and arguments of its first version, and the like."""

import warnings
from collections.abc import Sequence
from typing import Any

from torch.optim import Optimizer

from gonogo.adapters.lightning.hooks import package
from gonogo.errors import SubjectError


def refuse(trainer: Any, module: Any, optimizers: Sequence[Optimizer], text: str) -> None:
    """Ask Lightning's own rules, as far as this version of it has them.

    Raises:
        SubjectError: It would not train this module; the message is Lightning's.
    """
    rules = (
        ("trainer.configuration_validator", "_verify_loop_configurations", (trainer,)),
        ("core.optimizer", "_validate_multiple_optimizers_support", (list(optimizers), module)),
    )
    for where, name, given in rules:
        rule = getattr(package(trainer, where), name, None)
        if rule is None:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rule(*given)
        except Exception as error:
            raise SubjectError(f"{text}: Lightning refuses to train it: {error}") from None
