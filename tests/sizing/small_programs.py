"""Small programs for the tests of strategies: some residual blocks between an embedding and a head."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy, relu

from gonogo.sizing.card import fake_card
from gonogo.sizing.programs.program import Program
from gonogo.sizing.strategies.named import apply, parse

WIDTH, BLOCKS, VOCABULARY, LENGTH = 64, 4, 512, 32


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        return x + self.down(relu(self.up(self.norm(x))))


class Language(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, tokens):
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def language(rows=8, **parts):
    def model():
        with torch.device(fake_card.DEVICE):
            return Language()

    given = {"optimizers": lambda model: [torch.optim.AdamW(model.parameters())], "tokens": rows * LENGTH, **parts}
    return Program(
        "language",
        model,
        lambda: torch.zeros(rows, LENGTH, dtype=torch.int64, device=fake_card.DEVICE),
        lambda model, tokens: cross_entropy(model(tokens).flatten(0, 1).float(), tokens.flatten()),
        **given,
    )


def under(text, gpus=1, program=None):
    return apply(program or language(), parse(text, gpus))


def traced(text, gpus=1, program=None):
    return under(text, gpus, program).trace(workspace=0, steps=2)


def kinds(text, gpus=1, program=None):
    """Bytes of each kind that are there between two steps."""
    history = traced(text, gpus, program).history
    [_, (second, _)] = history.marks
    found = {}
    for number in history.live_at(second - 1):
        found[history.kind(number)] = found.get(history.kind(number), 0) + history.allocations[number].size
    return found


def peak(text, gpus=1, program=None):
    return traced(text, gpus, program).history.peak().bytes


def parameters():
    return sum(one.numel() for one in Language().parameters())
