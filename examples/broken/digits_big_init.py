"""Mistake: the head starts with weights of standard deviation 3, so the first loss is several times ln 10.

Caught by model.initial-loss, which warns: the run recovers, after steps spent on unlearning.
"""

from dataclasses import replace

from healthy import digits
from torch import nn

from gonogo import Subject


class BigInitNet(digits.DigitNet):
    def __init__(self) -> None:
        super().__init__()
        nn.init.normal_(self.head.weight, std=3.0)  # meant: std=0.03


def subject() -> Subject:
    return replace(digits.subject(), model=BigInitNet)
