"""Mistake: the functional dropout is on by default and does not hear of model.eval(). Caught by evaluation.mode."""

from dataclasses import replace

from healthy import digits
from torch import Tensor
from torch.nn import functional

from gonogo import Subject


class AlwaysDropoutNet(digits.DigitNet):
    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images).flatten(start_dim=1)
        return self.head(functional.dropout(features, 0.25))  # should pass training=self.training


def subject() -> Subject:
    return replace(digits.subject(), model=AlwaysDropoutNet)
