"""Mistake: the head is replaced after the optimizer was built, so the new one is never trained.

Caught by model.late-parameters.
"""

from dataclasses import replace

from healthy import digits
from torch import nn
from torch.optim import Optimizer

from gonogo import Subject


def make_optimizer(model: digits.DigitNet) -> Optimizer:
    optimizer = digits.make_optimizer(model)
    model.head = nn.Linear(model.head.in_features, digits.CLASSES)  # a fresh head for fine-tuning, one line too late
    return optimizer


def subject() -> Subject:
    return replace(digits.subject(), optimizer=make_optimizer)
