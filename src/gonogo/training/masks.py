"""Attention masks in the precision of the queries, for models that are replayed in float64."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from gonogo.training.entry import entry

# Where the additive masks are: keywords, and the place of attn_mask among the arguments of the kernel.
_NAMES, _PLACE = ("attn_mask", "key_padding_mask"), 3


class FollowQueries(TorchFunctionMode):
    """Casts additive masks to the precision of the queries.

    The CPU kernel of torch 2.13 reads a float32 mask beside float64 queries as something else, without a word; masks
    that a model builds in its forward stay float32 when its weights are cast, so that a right model would look wrong.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (functional.scaled_dot_product_attention, functional.multi_head_attention_forward):
            query = args[0] if args else kwargs["query"]
            kwargs |= {name: _like(kwargs[name], query) for name in _NAMES if name in kwargs}
            if func is functional.scaled_dot_product_attention and len(args) > _PLACE:
                args = (*args[:_PLACE], _like(args[_PLACE], query), *args[_PLACE + 1 :])
        return func(*args, **kwargs)


def _like(mask: Any, query: Tensor) -> Any:
    return mask.to(query.dtype) if isinstance(mask, Tensor) and mask.is_floating_point() else mask


def follow_queries(model: nn.Module) -> nn.Module:
    """The model; its masks follow the precision of its queries at every call."""
    entered: list[FollowQueries] = []

    def enter(*_: Any) -> None:
        entered.append(FollowQueries())
        entered[-1].__enter__()

    def leave(*_: Any) -> None:
        entered.pop().__exit__(None, None, None)

    entry(model).register_forward_pre_hook(enter)
    entry(model).register_forward_hook(leave, always_call=True)
    return model
