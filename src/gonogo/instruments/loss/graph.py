"""What stands at the ends of a graph of gradients."""

from typing import Any

from torch import Tensor


def leaves(loss: Tensor) -> list[Tensor]:
    """The tensors in which backward() of a loss would leave gradients."""
    found: dict[int, Tensor] = {}
    seen, waiting = set(), [loss.grad_fn]
    while waiting:
        node: Any = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if isinstance(variable, Tensor):
            found[id(variable)] = variable
        waiting += [following for following, _ in node.next_functions]
    return list(found.values())
