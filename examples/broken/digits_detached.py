"""Mistake: the features are detached, so the convolutions get no gradient. Caught by model.unused-parameters."""

from dataclasses import replace

from healthy import digits
from torch import Tensor

from gonogo import Subject


class DetachedNet(digits.DigitNet):
    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images).detach().flatten(start_dim=1)  # "saves memory"
        return self.head(self.dropout(features))


def subject() -> Subject:
    return replace(digits.subject(), model=DetachedNet)
