"""Sequences of several lengths, sorted and packed by a collate function that sorts everything."""

import torch
import torch.nn.functional as F
from _data import mean_of, step_on, waves
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(3, 20, batch_first=True, bidirectional=True), nn.Linear(40, 3)

    def forward(self, x, n):
        _, (h, _) = self.rnn(pack_padded_sequence(x, n, batch_first=True, enforce_sorted=True))
        return self.head(torch.cat([h[0], h[1]], 1))


def collate(rows):
    rows = sorted(rows, key=lambda row: -len(row[0]))
    x, y = zip(*rows, strict=True)
    return pad_sequence(x, True), torch.tensor([len(one) for one in x]), torch.tensor(y)


def build(seed: int = 0):
    torch.manual_seed(seed)
    x, y = waves()
    rows = [(x[i, : 8 + i % 9], int(y[i])) for i in range(len(y))]
    model = Reader()
    loss = lambda model, batch: F.cross_entropy(model(batch[0], batch[1]), batch[2])
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        "train_loader": DataLoader(rows[:180], 18, shuffle=True, collate_fn=collate),
        "valid_loader": DataLoader(rows[180:], 20, collate_fn=collate),
        "claims": {"classes": 3},
    }
