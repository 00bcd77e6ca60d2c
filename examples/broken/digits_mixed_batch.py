"""Mistake: channels and samples are swapped, and a reshape that fits the sizes takes the place of swapping them back.

All shapes are right, and each sample is classified by features of others. Caught by model.batch-mixing.
"""

from dataclasses import replace

from healthy import digits
from torch import Tensor

from gonogo import Subject


class MixedBatchNet(digits.DigitNet):
    def forward(self, images: Tensor) -> Tensor:
        channels_first = self.features(images).transpose(0, 1)  # [channel, batch, 4, 4]
        features = channels_first.reshape(len(images), -1)  # should be: channels_first.transpose(0, 1).flatten(1)
        return self.head(self.dropout(features))


def subject() -> Subject:
    return replace(digits.subject(), model=MixedBatchNet)
