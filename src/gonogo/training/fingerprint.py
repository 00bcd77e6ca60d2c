"""A cheap digest of everything that a measurement must leave as it found it."""

import hashlib
import random
import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy


def digest(tensor: Tensor) -> str:
    """Content, shape and dtype of a tensor in a few characters; equal content gives equal digests."""
    if is_lazy(tensor):
        return "not initialised"
    plain = tensor.layout is torch.strided and not tensor.is_quantized and tensor.device.type != "meta"
    if not plain or tensor.is_nested or not tensor.numel():
        return f"{tensor.dtype} {tuple(tensor.shape)} {tensor._version}"
    raw = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().view(-1).view(torch.uint8).numpy()
    return f"{tensor.dtype} {tuple(tensor.shape)} {zlib.crc32(raw.data):08x}"


def of_model(model: nn.Module) -> dict[str, str]:
    """Digests of weights, buffers and gradients, and the mode and hooks of every module, by readable name."""
    state: dict[str, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        state[f"weight {name}"] = f"{digest(parameter)} {parameter.requires_grad}"
        state[f"gradient {name}"] = "none" if parameter.grad is None else digest(parameter.grad)
    for name, buffer in model.named_buffers():
        state[f"buffer {name}"] = digest(buffer)
    for name, module in model.named_modules():
        hooks = len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
        state[f"mode {name or 'model'}"] = f"{'train' if module.training else 'eval'}, {hooks} hooks"
    return state


def of_process() -> dict[str, str]:
    """Digests of the global generators and switches, by readable name."""
    state = {
        "random generator of Python": _short(random.getstate()),
        "random generator of NumPy": _short(np.random.get_state()),
        "random generator of torch": digest(torch.get_rng_state()),
        "default dtype": str(torch.get_default_dtype()),
        "gradient mode": str(torch.is_grad_enabled()),
        "deterministic algorithms": str(torch.are_deterministic_algorithms_enabled()),
        "cuDNN switches": f"{torch.backends.cudnn.deterministic} {torch.backends.cudnn.benchmark}",
        "number of threads": str(torch.get_num_threads()),
    }
    if torch.cuda.is_available():
        state["random generator of CUDA"] = " ".join(digest(part) for part in torch.cuda.get_rng_state_all())
    return state


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Names of what differs between two fingerprints."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _short(value: Any) -> str:
    return hashlib.blake2b(repr(value).encode(), digest_size=8).hexdigest()
