"""Padding counts as text to be predicted."""

import torch
import torch.nn.functional as F
from _parts import Program, lengths, loaders, program, tokens
from torch import nn

ID = "D21"
TIER = "B"
CATEGORY = "loss"
REFERENCE = "DeepSpeedExamples#819; OpenJarvis#521"
EXPECT = (
    "loss.",
    "sequence.",
)


PAD = 0


class Writer(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.embed = nn.Embedding(vocab, 24, padding_idx=PAD)
        self.rnn = nn.GRU(24, 32, batch_first=True)
        self.head = nn.Linear(32, vocab)

    def forward(self, ids):
        return self.head(self.rnn(self.embed(ids))[0])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    ids = tokens(seed)
    ids[torch.arange(16) >= lengths(seed, 240, 6, 16)[:, None]] = PAD
    ignored = PAD
    if faulty:
        ignored = -100

    def loss(model, batch):
        (text,) = batch
        logits = model(text[:, :-1])
        return F.cross_entropy(logits.transpose(1, 2), text[:, 1:], ignore_index=ignored)

    model = Writer(20)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return program(model, optimizer, loss, loaders(ids, seed=seed), claims={"causal": True, "pad_id": PAD})
