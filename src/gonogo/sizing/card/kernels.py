"""What a CUDA card would run: the attention kernel that it would choose, and memory that libraries take unseen."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from gonogo.sizing.card.allocator import MIB

WORKSPACE = int(8.125 * MIB)  # cuBLAS, one for each thread and stream; Hopper's larger ones are not modelled
_LIBRARIES: list[Any] = []
_CHOICE = ["fused"]
_aten = torch.ops.aten
MATMULS = frozenset(
    (_aten.mm.default, _aten.addmm.default, _aten.bmm.default, _aten.baddbmm.default)
)  # what calls cuBLAS
# Formulas of autograd go out of place while a mode is on; on the card they do not.
IN_PLACE = {_aten.scatter_add.default: _aten.scatter_add_.default, _aten.index_put.default: _aten.index_put_.default}


def install(device: str) -> None:
    """Choose attention kernels as CUDA does, for a device of the key PrivateUse1."""
    for key in ("AutogradPrivateUse1", "PrivateUse1"):
        library = torch.library.Library("aten", "IMPL", key)
        library.impl("scaled_dot_product_attention", attention)
        library.impl("rms_norm", _rms_norm)
        _LIBRARIES.append(library)
    shapes = torch.library.Library("aten", "IMPL", "Meta")  # torch has none for this cell
    shapes.impl("_thnn_fused_gru_cell", _gru_cell)
    shapes.impl("_thnn_fused_gru_cell_backward", _gru_cell_backward)
    _LIBRARIES.append(shapes)


def _rms_norm(x: Tensor, shape: list[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    return _aten._fused_rms_norm(x, shape, weight, eps)[0]  # one kernel on a card; elsewhere it is written out


def _gru_cell(inputs: Tensor, hidden: Tensor, state: Tensor, *biases: Tensor | None) -> tuple[Tensor, Tensor]:
    return torch.empty_like(state), state.new_empty(state.shape[0], 5 * state.shape[1])


def _gru_cell_backward(gradient: Tensor, workspace: Tensor, has_bias: bool) -> tuple[Tensor | None, ...]:
    gates = [gradient.new_empty(gradient.shape[0], 3 * gradient.shape[1]) for _ in range(2)]
    biases = [gradient.new_empty(3 * gradient.shape[1]) if has_bias else None for _ in range(2)]
    return (*gates, torch.empty_like(gradient), *biases)


@contextlib.contextmanager
def attention_by(choice: str) -> Iterator[None]:
    """'fused' (what CUDA chooses) or 'math' (written out)."""
    _CHOICE.append(choice)
    try:
        yield
    finally:
        _CHOICE.pop()


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """scaled_dot_product_attention by the kernel of a CUDA card; shapes (..., heads, length, channels)."""
    width = query.size(-1)
    half = query.dtype in (torch.bfloat16, torch.float16)
    if _CHOICE[-1] == "fused" and attn_mask is None and half and width <= 256 and query.dim() == 4:
        return _flash(query, key, value, dropout_p, is_causal, scale)
    if enable_gqa and key.size(-3) != query.size(-3):
        groups = query.size(-3) // key.size(-3)
        key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
    if _CHOICE[-1] == "fused" and query.dim() == 4:
        return _efficient(query, key, value, attn_mask, dropout_p, is_causal, scale)
    written_out = _aten._scaled_dot_product_attention_math
    return written_out(query, key, value, attn_mask, dropout_p, is_causal, scale=scale)[0]


def _flash(query: Tensor, key: Tensor, value: Tensor, dropout: float, causal: bool, scale: float | None) -> Tensor:
    width = query.size(-1)
    missing = -width % 8
    if missing:
        query, key, value = (pad(one, (0, missing)) for one in (query, key, value))
    kernel = _aten._scaled_dot_product_flash_attention
    output = kernel(query, key, value, dropout, causal, False, scale=scale or width**-0.5)[0]
    return output[..., :width] if missing else output


def _efficient(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float, causal: bool, scale: float | None
) -> Tensor:
    if mask is not None:
        if mask.dtype == torch.bool:
            mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill_(mask.logical_not(), float("-inf"))
        mask = mask.expand(query.size(0), query.size(1), query.size(2), key.size(2))
    learns = torch.is_grad_enabled() and any(one.requires_grad for one in (query, key, value))
    kernel = _aten._scaled_dot_product_efficient_attention
    return kernel(query, key, value, mask, learns, dropout, causal, scale=scale)[0]


def hidden_bytes(operator: Any, args: tuple[Any, ...]) -> list[int]:
    """Bytes that a kernel takes and gives back inside one call, unseen by the dispatcher.

    Not validated against a card: the flash backward's sums and its fp32 accumulator of the query's gradient.
    """
    if operator is not _aten._scaled_dot_product_flash_attention_backward.default:
        return []
    rows, heads, length, width = args[1].shape
    length, width = -(-length // 128) * 128, -(-width // 32) * 32
    return [rows * heads * length * 4, rows * heads * length * width * 4]
