"""Models that the loss enters by one of their parts, as modules with a training step do."""

import torch
from torch import nn
from torch.nn import functional

from gonogo.instruments.answers.recorded_call import recorded
from gonogo.training import entry
from gonogo.training.session import Session
from gonogo.training.subject import Subject


class Holder(nn.Module):
    """A net, a loss and a second part; its own forward is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.other, self.criterion = nn.Linear(4, 3), nn.Linear(4, 3), nn.CrossEntropyLoss(reduction="none")


def batches():
    return [(torch.randn(6, 5, 4), torch.randint(0, 3, (6, 5)))]


def net_alone(model, batch):
    return model.criterion(model.net(batch[0]).transpose(1, 2), batch[1]).mean()


def both(model, batch):
    return functional.cross_entropy((model.net(batch[0]) + model.other(batch[0])).transpose(1, 2), batch[1])


def session(loss, build=Holder):
    return Session(Subject("held", model=build, loss=loss, splits={"train": batches}))


def test_the_part_that_the_loss_calls_answers_for_the_model():
    one = session(net_alone)
    [batch] = one.batches(limit=1)
    assert entry.entry(one.model) is one.model.net
    assert next(iter(one.outputs(batch).values())).shape == (6, 5, 3)


def test_a_copy_is_entered_by_its_own_part():
    copied = session(net_alone).copy_model()
    assert entry.entry(copied) is copied.net


def test_a_recorded_call_of_the_part_is_replayed_through_it():
    probe = recorded(session(net_alone))
    [answer] = probe.replay({}).values()
    assert answer.shape == (6, 5, 3)
    assert answer.dtype is torch.float64


def test_of_several_parts_none_answers_for_the_model():
    one = session(both)
    assert entry.entry(one.model) is one.model


def test_a_model_that_is_called_itself_is_its_own_entry():
    one = session(lambda model, batch: model(batch[0]).square().mean(), lambda: nn.Sequential(nn.Linear(4, 3)))
    assert entry.entry(one.model) is one.model


def test_a_loss_that_raises_leaves_the_model_its_own_entry():
    def broken(model, batch):
        raise ValueError("no")

    one = session(broken)
    assert entry.entry(one.model) is one.model
