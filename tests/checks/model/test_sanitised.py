"""nan_to_num where it has nothing to do, where it is right, and where it hides something."""

from dataclasses import replace

import pytest
import torch

from gonogo.checks.model.sanitised import sanitised
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.testing.toys import TOYS


def attention(output):
    scores = output[:, :, None] * output[:, None, :]
    scores[0] = -torch.inf  # a row with nothing to attend to
    return output + scores.softmax(-1).nan_to_num().sum(-1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda output: output.nan_to_num(), Status.PASS),
        (attention, Status.PASS),
        (lambda output: output + (output - 0.5).sqrt().nan_to_num(), Status.WARN),
    ],
    ids=["nothing to clean", "nothing to attend to", "root of a negative number"],
)
def test_only_what_was_really_cleaned_counts(change, expected):
    assert answer(sanitised.check, TOYS["classifier"]().map_outputs(change)).status is expected


def test_missing_values_of_the_data_may_be_filled():
    toy = TOYS["regressor"]()

    def holes(batch):
        x = batch[0].clone()
        x[::3, 0] = torch.nan
        return [x, batch[1]]

    def loss(model, batch):
        return toy.loss(model, [batch[0].nan_to_num(), batch[1]])

    with_holes = toy.map_split("train", lambda split: split.map(lambda batches: [holes(b) for b in batches]))
    assert answer(sanitised.check, replace(with_holes, loss=loss)).status is Status.PASS
