"""The pad token is the end token, and whatever is padding has no label: no sequence ever ends."""

import torch
import torch.nn.functional as F
from _parts import Program, lengths, program, tokens
from torch import nn
from torch.utils.data import DataLoader

ID = "D20"
TIER = "B"
CATEGORY = "data"
REFERENCE = "Megatron-Bridge#4660; trl#1623; torchtune#949"
EXPECT = (
    "data.",
    "sequence.",
    "loss.",
)


BOS, EOS = 1, 2


def collate(pad):
    def merge(rows):
        longest = max(len(row) for row in rows)
        ids = torch.stack([F.pad(row, (0, longest - len(row)), value=pad) for row in rows])
        labels = ids.masked_fill(ids == pad, -100)
        return {"input_ids": ids, "attention_mask": (labels != -100).long(), "labels": labels}

    return merge


class Writer(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.embed = nn.Embedding(vocab, 24)
        self.rnn = nn.LSTM(24, 32, batch_first=True)
        self.head = nn.Linear(32, vocab)

    def forward(self, input_ids, attention_mask=None):
        return self.head(self.rnn(self.embed(input_ids))[0])


def loss(model, batch):
    logits = model(batch["input_ids"], batch["attention_mask"])
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=-100)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    pad = 0
    if faulty:
        pad = EOS
    texts = zip(tokens(seed), lengths(seed, 240, 8, 15), strict=True)
    rows = [torch.tensor([BOS, *text[:n].tolist(), EOS]) for text, n in texts]
    train = DataLoader(rows[:180], 24, shuffle=True, collate_fn=collate(pad))
    valid = DataLoader(rows[180:], 30, collate_fn=collate(pad))
    model = Writer(20)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    claims = {"causal": True, "pad_id": pad, "eos_id": EOS, "bos_id": BOS}
    return program(model, optimizer, loss, (train, valid), claims=claims)
