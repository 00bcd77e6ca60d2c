"""What other tools say of the same steps, MiB; None where a tool is not installed or has no answer."""

from collections.abc import Callable
from typing import Any

import torch
from cases import ROWS, VOCABULARY, Case
from torch._subclasses.fake_tensor import FakeTensorMode

MIB = 1 << 20


def mem_tracker(case: Case) -> float | None:
    """torch.distributed._tools.MemTracker on fake CPU tensors: one step after a first."""
    from torch.distributed._tools.mem_tracker import MemTracker

    with FakeTensorMode():
        model, optimizer, batch = case.parts("cpu")
        step = case.stepping(model, optimizer, batch, "cpu")
        tracker = MemTracker()
        tracker.track_external(*(part for part in (model, optimizer) if part is not None))
        for _ in range(2):
            with tracker:
                step()
            snapshot = tracker.get_tracker_snapshot("peak")
            tracker.reset_mod_stats()
    return (
        max(sum(kinds.values()) for kinds in ({k: v for k, v in d.items() if k == "Total"} for d in snapshot.values()))
        / MIB
    )


def accelerate(case: Case) -> float | None:
    """accelerate estimate-memory: four times the weights for training with Adam, once for inference."""
    from accelerate.utils import calculate_maximum_sizes

    with torch.device("meta"):
        model, _, _ = case.parts("meta")
    total, _ = calculate_maximum_sizes(model)
    return total * (4 if case.kind == "training" else 1) / MIB


def deepspeed(case: Case) -> float | None:
    """DeepSpeed's estimator of model states for one GPU without offload (training only)."""
    if case.kind != "training":
        return None
    from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs

    model, _, _ = case.parts("meta")
    total = sum(parameter.numel() for parameter in model.parameters())
    _, gpu = estimate_zero2_model_states_mem_needs(total, num_gpus_per_node=1, num_nodes=1, cpu_offload=False)[:2]
    return gpu / MIB


def torchinfo(case: Case) -> float | None:
    """torchinfo.summary: input, outputs of leaves twice, parameters."""
    from torchinfo import summary

    model, _, _ = case.parts("meta")
    tokens = torch.zeros(ROWS, case.length, dtype=torch.long, device="meta") % VOCABULARY
    found = summary(model, input_data=tokens, verbose=0, device="meta")
    return (found.total_input + found.total_output_bytes + found.total_param_bytes) / MIB


PEERS: dict[str, Callable[[Case], float | None]] = {
    "MemTracker": mem_tracker,
    "accelerate": accelerate,
    "DeepSpeed": deepspeed,
    "torchinfo": torchinfo,
}


def ask(name: str, case: Case) -> Any:
    """What a peer says, or why it says nothing."""
    try:
        return PEERS[name](case)
    except ImportError:
        return "not installed"
    except Exception as error:  # a peer's failure is its answer
        return f"{type(error).__name__}: {str(error).splitlines()[0][:120]}" if str(error) else type(error).__name__
