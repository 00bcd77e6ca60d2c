"""An answer to a program that ran out of memory: the batch to try next."""

import torch

_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "unable to allocate")


def is_out_of_memory(error: BaseException) -> bool:
    """Did the device or the host run out of memory?"""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)


def advice(batch: int | None, option: str = "batch_size", accumulation: str = "") -> str:
    """What to try, with its number. Half a batch halves the activations; weights and optimizer states stay."""
    if batch is None:
        return "gonogo: out of memory; try half the batch"
    if batch == 1:
        return "gonogo: out of memory with one sample: try shorter inputs, bfloat16 or activation checkpointing"
    smaller = 1 << ((batch - 1).bit_length() - 1)  # the next power of two below
    times = -(-batch // smaller)
    steps = accumulation or "gradient accumulation over"
    joint = "=" if accumulation else " "
    return f"gonogo: out of memory with {option}={batch}: try {option}={smaller} with {steps}{joint}{times}"


def advise(error: BaseException, batch: int | None, option: str = "batch_size", accumulation: str = "") -> str:
    """Add the advice to the error, which goes on its way; returns it, or nothing for another error."""
    if not is_out_of_memory(error):
        return ""
    text = advice(batch, option, accumulation)
    if text not in getattr(error, "__notes__", ()):
        error.add_note(text)
    return text
