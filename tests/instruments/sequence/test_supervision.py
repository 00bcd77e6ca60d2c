import torch
from torch.nn import functional

from gonogo.instruments.sequence.supervision import wanted_of


def test_the_gradient_of_a_cross_entropy_names_the_wanted_class():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 5, 7, generator=generator, requires_grad=True)
    labels = torch.randint(7, (3, 5), generator=generator)
    labels[1, 2:] = -100
    functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=0.1).backward()
    assert logits.grad is not None
    assert torch.equal(wanted_of(logits.grad), labels.masked_fill(labels < 0, -1))
