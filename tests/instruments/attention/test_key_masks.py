import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.instruments.attention.key_masks import hidden_keys
from gonogo.training.session import Session
from gonogo.training.subject import Subject

HIDDEN = torch.tensor([[False, False, True], [False, True, True]])
X = torch.randn(2, 3, 4)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        return self.attend(x, x, x, HIDDEN)[0]  # by position


class Infinite(Layer):
    def forward(self, x):
        mask = torch.zeros(2, 3).masked_fill(HIDDEN, float("-inf"))
        return self.attend(x, x, x, key_padding_mask=mask)[0]


class Kernel(Layer):
    def forward(self, x):
        query = x.unsqueeze(1)
        return functional.scaled_dot_product_attention(query, query, query, ~HIDDEN[:, None, None])


@pytest.mark.parametrize("model", [Layer, Infinite, Kernel])
def test_the_keys_that_are_left_out_are_those_of_the_mask_however_it_is_given(model):
    subject = Subject("by hand", model=model, loss=lambda m, x: m(x).sum(), splits={"train": lambda: [X]})
    session = Session(subject)
    [(_, mask), *_] = hidden_keys(session, session.copy_model(), X)
    assert mask.equal(HIDDEN)


def test_attention_without_a_mask_of_keys_is_left_out():
    class Plain(Layer):
        def forward(self, x):
            return self.attend(x, x, x)[0]

    subject = Subject("by hand", model=Plain, loss=lambda m, x: m(x).sum(), splits={"train": lambda: [X]})
    session = Session(subject)
    assert hidden_keys(session, session.copy_model(), X) == []
