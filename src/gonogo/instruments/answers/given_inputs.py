"""What the calls of a model are given: two answers can only be compared where the same went in."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from gonogo.audit.fingerprints import fingerprint
from gonogo.training import batch as nested


@contextmanager
def given_inputs(model: nn.Module) -> Iterator[list[bytes]]:
    """A fingerprint of the numbers that each call of the model itself is given, in turn."""
    found: list[bytes] = []

    def look(_: nn.Module, args: Any, kwargs: Any) -> None:
        found.append(fingerprint(nested.tensors([list(args), kwargs])))

    try:
        handle = model.register_forward_pre_hook(look, with_kwargs=True)
    except RuntimeError:  # TorchScript takes no hooks
        yield found
        return
    try:
        yield found
    finally:
        handle.remove()


def of_equal_inputs(answers: dict[str, Tensor], one: Sequence[bytes], two: Sequence[bytes]) -> dict[str, Tensor]:
    """Those answers whose call was given the same both times; paths begin with the number of the call."""
    equal = {str(call) for call, (first, second) in enumerate(zip(one, two, strict=False)) if first == second}
    return {path: answer for path, answer in answers.items() if path.split(".")[0] in equal}
