"""Truncation leaves the prompts and removes the answers, the only tokens with a label."""

import torch
import torch.nn.functional as F
from _parts import Program, Rows, program, tokens
from torch import nn
from torch.utils.data import DataLoader, Subset

ID = "D19"
TIER = "B"
CATEGORY = "data"
REFERENCE = "pytorch#116349; OLMo-core#657; OpenRLHF#583"
EXPECT = (
    "data.",
    "model.",
    "loss.",
)


PROMPT = 8


class Reader(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.embed = nn.Embedding(vocab, 24)
        self.rnn = nn.GRU(24, 32, batch_first=True)
        self.head = nn.Linear(32, vocab)

    def forward(self, input_ids):
        return self.head(self.rnn(self.embed(input_ids))[0])


def loss(model, batch):
    logits = model(batch["input_ids"])
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=-100)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    ids = tokens(seed)
    labels = ids.clone()
    labels[:, :PROMPT] = -100
    keep = 16
    if faulty:
        keep = PROMPT
    data = Rows(input_ids=ids[:, :keep], labels=labels[:, :keep])
    model = Reader(20)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    both = DataLoader(Subset(data, range(180)), 20, shuffle=True), DataLoader(Subset(data, range(180, 240)), 60)
    return program(model, optimizer, loss, both, claims={"causal": True})
