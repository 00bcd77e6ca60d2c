"""Answers beside hidden steps, against models whose dependence is known by hand."""

import pytest
import torch
from torch import nn

from gonogo.errors import NotApplicable
from gonogo.instruments.streams.answers import change, padding_changes, told
from gonogo.training.claims import Claims
from gonogo.training.session import Session
from gonogo.training.subject import Subject

THERE = torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]], dtype=torch.bool)
BATCH = {"sound": torch.rand(2, 4, 3) * THERE.unsqueeze(-1), "sound_mask": THERE}


class ByHand(nn.Module):
    """`answer` of (features [b, t, d], mask [b, t]) -> [b, ...]."""

    def __init__(self, answer):
        super().__init__()
        self.answer, self.scale = answer, nn.Parameter(torch.ones(()))

    def forward(self, batch):
        return self.scale * self.answer(batch["sound"], batch["sound_mask"])


def session(answer):
    subject = Subject(
        "by hand",
        model=lambda: ByHand(answer),
        loss=lambda model, batch: model(batch).sum(),
        splits={"train": lambda: [BATCH]},
        claims=Claims(modalities=("sound",)),
    )
    return Session(subject)


def real(x, mask):
    return x.where(mask.unsqueeze(-1), torch.zeros((), dtype=x.dtype))


def test_answers_at_hidden_steps_do_not_count():
    one, other = torch.zeros(2, 4, 3), torch.zeros(2, 4, 3)
    other[0, 3] = 1.0
    assert change({"": one}, {"": other}, THERE) == 0
    other[0, 2] = 1.0
    assert change({"": one}, {"": other}, THERE) == 1


def test_answers_in_an_unknown_order_of_steps_are_left_out():
    with pytest.raises(NotApplicable):
        change({"": torch.zeros(2, 9, 3)}, {"": torch.ones(2, 9, 3)}, THERE)


def test_a_model_is_told_of_a_mask_only_if_it_changes_an_answer():
    [one] = told(session(lambda x, mask: real(x, mask).sum(1)))
    assert one.hidden.tolist() == [[False, False, True, True], [False, True, True, True]]
    with pytest.raises(NotApplicable, match="do not reach"):
        told(session(lambda x, mask: x.sum(1)))


def test_appended_steps_change_what_divides_by_their_number_and_nothing_else():
    right = padding_changes(session(lambda x, mask: real(x, mask).sum(1) / mask.sum(1, keepdim=True)))
    assert [one.change for one in right] == [0, 0]
    [thirteen, single] = padding_changes(session(lambda x, mask: real(x, mask).mean(1)))
    assert thirteen.change == pytest.approx(13 / 17)
    assert single.change == pytest.approx(1 / 5)


def test_a_model_of_one_length_is_not_applicable():
    with pytest.raises(NotApplicable, match="this length"):
        padding_changes(session(lambda x, mask: real(x, mask).reshape(len(x), 4, 3).sum(1) * mask.view(-1, 4)[:, :1]))
