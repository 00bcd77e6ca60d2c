"""Mistake: a layer is defined and counted, but forward never calls it. Caught by model.unused-parameters."""

from dataclasses import replace

from healthy import digits
from torch import nn

from gonogo import Subject


class ForgottenLayerNet(digits.DigitNet):
    def __init__(self) -> None:
        super().__init__()
        self.projection = nn.Linear(self.head.in_features, self.head.in_features)  # forward does not know of it


def subject() -> Subject:
    parameters = sum(parameter.numel() for parameter in ForgottenLayerNet().parameters())
    return replace(digits.subject(), model=ForgottenLayerNet).with_claims(parameters=parameters)
