"""Tables whose columns are all read, in odd ways, and tables with one that is not."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.checks.model.unused_columns import unused_columns
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

GENERATOR = torch.Generator().manual_seed(0)
TABLE = torch.randn(12, 5, generator=GENERATOR)
IDS = torch.randint(1, 9, (12, 5), generator=GENERATOR)


def linear(change=lambda model: None):
    model = nn.Linear(4, 1)
    with torch.no_grad():
        change(model)
    return model


def verdict(model, loss, batch=TABLE):
    given = Subject("by hand", model=model, loss=loss, splits={"train": lambda: [batch]})
    return answer(unused_columns.check, given).status


def with_target_inside(model, table):
    return (model(table[:, :4])[:, 0] - table[:, 4]).square().mean()


def test_the_last_column_may_be_the_target():
    assert verdict(linear, with_target_inside) is Status.PASS


def test_a_weight_of_zero_is_no_dead_column():
    assert verdict(lambda: linear(lambda model: model.weight[:, 1].zero_()), with_target_inside) is Status.PASS
    assert verdict(lambda: linear(lambda model: model.weight.zero_()), with_target_inside) is Status.PASS


def test_a_column_that_is_read_twice_in_place_of_another_is_found():
    def loss(model, table):
        return (model(table[:, [0, 1, 2, 2]])[:, 0] - table[:, 4]).square().mean()

    assert verdict(linear, loss) is Status.WARN
    assert verdict(linear, loss, torch.cat([TABLE[:, :3], torch.ones(12, 1), TABLE[:, 4:]], 1)) is Status.PASS


@pytest.mark.parametrize("kind", ["buckets", "numpy", "in place"])
def test_features_without_a_gradient_are_exchanged(kind):
    def loss(model, table):
        if kind == "buckets":
            table = torch.cat([torch.bucketize(table[:, :4].contiguous(), torch.linspace(-2, 2, 9)), table[:, 4:]], 1)
        elif kind == "numpy":
            table = torch.from_numpy(table.detach().numpy().copy())
        else:
            table[:, :4] *= 2
        return with_target_inside(model, table.float())

    assert verdict(linear, loss) is Status.PASS


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(9, 8), nn.GRU(8, 8, batch_first=True), nn.Linear(8, 9)

    def forward(self, ids):
        return self.head(self.rnn(self.embed(ids))[0])


def test_short_texts_are_read_to_their_end():
    def loss(model, ids):
        return functional.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])

    assert verdict(Words, loss, IDS) is Status.PASS


def test_a_column_of_ids_that_is_never_looked_up_is_found():
    def loss(model, ids):
        return functional.cross_entropy(model(ids[:, :3]).transpose(1, 2), ids[:, 1:4])

    assert verdict(Words, loss, IDS) is Status.WARN


def test_a_field_that_nobody_reads_is_no_matter_of_columns():
    def loss(model, batch):
        return with_target_inside(model, batch["x"])

    assert verdict(linear, loss, {"x": TABLE, "who": IDS}) is Status.PASS
