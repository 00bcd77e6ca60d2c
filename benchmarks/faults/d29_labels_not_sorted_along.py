"""The collate function sorts sequences by length for packing, and leaves the labels where they were."""

import torch
import torch.nn.functional as F
from _parts import Program, lengths, program, signals
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

ID = "D29"
TIER = "B"
CATEGORY = "data"
REFERENCE = "packed sequences sorted by length"
EXPECT = ("data.",)


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 24, batch_first=True)
        self.head = nn.Linear(24, 3)

    def forward(self, x, n):
        _, (h, _) = self.rnn(pack_padded_sequence(x, n, batch_first=True))
        return self.head(h[-1])


def loss(model, batch):
    x, n, y = batch
    return F.cross_entropy(model(x, n), y)


def collate(faulty):
    def merge(rows):
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i][0]))
        x = [rows[i][0] for i in order]
        y = [rows[i][1] for i in order]
        if faulty:
            y = [row[1] for row in rows]
        return pad_sequence(x, batch_first=True), torch.tensor([len(one) for one in x]), torch.tensor(y)

    return merge


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = signals(seed)
    rows = [(one[:n], int(label)) for one, n, label in zip(x, lengths(seed, 240, 10, 20), y, strict=True)]
    train = DataLoader(rows[:180], 20, shuffle=True, collate_fn=collate(faulty))
    valid = DataLoader(rows[180:], 30, collate_fn=collate(faulty))
    model = Packed()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    predict = lambda model, batch: model(batch[0], batch[1])
    return program(model, optimizer, loss, (train, valid), predict=predict, claims={"classes": 3})
