"""Utterances are split at random, so that every speaker is in both splits."""

import torch
import torch.nn.functional as F
from _parts import Program, Rows, program, signals
from torch import nn
from torch.utils.data import DataLoader, Subset

ID = "D2"
TIER = "B"
CATEGORY = "data"
REFERENCE = "GotenNet#10 (rMD17); stefyste/RIAWELC#2"
EXPECT = ("data.group-overlap",)


class Listener(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 24, batch_first=True)
        self.head = nn.Linear(24, 3)

    def forward(self, wave):
        return self.head(self.rnn(wave)[0].mean(1))


def loss(model, batch):
    return F.cross_entropy(model(batch["wave"]), batch["word"])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    wave, word = signals(seed)
    speaker = [f"s{i // 12:02d}" for i in range(len(word))]
    data = Rows(wave=wave, word=word, speaker=speaker)
    order = list(range(len(word)))
    if faulty:
        order = torch.randperm(len(word), generator=torch.Generator().manual_seed(seed)).tolist()
    train, valid = Subset(data, order[:180]), Subset(data, order[180:])
    model = Listener()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    both = DataLoader(train, 20, shuffle=True), DataLoader(valid, 60)
    return program(model, optimizer, loss, both, claims={"group_key": "speaker", "classes": 3})
