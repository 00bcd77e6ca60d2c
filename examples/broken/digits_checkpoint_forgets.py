"""Mistake: the checkpoint holds the parameters but not the buffers, so the running statistics of BatchNorm are lost.

Caught by reproducibility.checkpoint-roundtrip.
"""

from dataclasses import replace
from pathlib import Path

import torch
from healthy import digits
from torch import nn
from torch.optim import Optimizer

from gonogo import Subject


def save(path: Path, model: nn.Module, optimizer: Optimizer) -> None:
    torch.save({"model": dict(model.named_parameters()), "optimizer": optimizer.state_dict()}, path)


def load(path: Path, model: nn.Module, optimizer: Optimizer) -> None:
    checkpoint = torch.load(path, weights_only=True)
    model.load_state_dict(checkpoint["model"], strict=False)  # strict would have told
    optimizer.load_state_dict(checkpoint["optimizer"])


def subject() -> Subject:
    return replace(digits.subject(), save=save, load=load)
