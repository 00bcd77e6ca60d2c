"""The template begins with the begin token, and the tokenizer adds another."""

import torch
import torch.nn.functional as F
from _parts import Program, Rows, program, tokens
from torch import nn
from torch.utils.data import DataLoader, Subset

ID = "D23"
TIER = "B"
CATEGORY = "data"
REFERENCE = "OpenRLHF#393; open-r1#462"
EXPECT = (
    "data.",
    "sequence.",
)


BOS = 1


def template(ids):
    return [BOS, *ids]


def encode(ids, add_special_tokens):
    return torch.tensor([BOS, *ids] if add_special_tokens else ids)


class Writer(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.embed = nn.Embedding(vocab, 24)
        self.rnn = nn.GRU(24, 32, batch_first=True)
        self.head = nn.Linear(32, vocab)

    def forward(self, ids):
        return self.head(self.rnn(self.embed(ids))[0])


def loss(model, batch):
    ids = batch["input_ids"]
    return F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    special = False
    if faulty:
        special = True
    data = Rows(input_ids=[encode(template(row.tolist()), special) for row in tokens(seed)])
    model = Writer(20)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    both = DataLoader(Subset(data, range(180)), 20, shuffle=True), DataLoader(Subset(data, range(180, 240)), 60)
    return program(model, optimizer, loss, both, claims={"causal": True, "bos_id": BOS})
