"""Which device a session runs on."""

import torch

from gonogo.errors import SubjectError


def choose(wanted: str) -> torch.device:
    """The device of that name; "auto" is the first accelerator, or the CPU.

    Raises:
        SubjectError: There is no such device here.
    """
    if wanted == "auto":
        return torch.accelerator.current_accelerator() or torch.device("cpu")
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise SubjectError(
            f"--device {wanted}: not available here ({first}); give cpu, cuda, cuda:1, mps or auto"
        ) from None
    return device
