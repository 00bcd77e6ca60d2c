"""The ends of a graph, on one made by hand."""

import torch
from torch import nn

from gonogo.instruments.loss.graph import leaves


def test_leaves_are_the_tensors_that_backward_fills():
    a, b, c = (nn.Parameter(torch.ones(2)) for _ in range(3))
    loss = (a * b.detach() + c.exp() * torch.ones(2)).sum()
    found = {id(leaf) for leaf in leaves(loss)}
    loss.backward()
    assert found == {id(p) for p in (a, b, c) if p.grad is not None} == {id(a), id(c)}


def test_a_loss_without_graph_has_no_leaves():
    assert leaves(torch.ones(())) == []
