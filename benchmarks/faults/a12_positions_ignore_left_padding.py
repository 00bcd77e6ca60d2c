"""Rows are padded on the left, and positions count the padding."""

import torch
import torch.nn.functional as F
from _parts import Program, Rows, lengths, program, tokens
from torch import nn
from torch.utils.data import DataLoader, random_split

ID = "A12"
TIER = "B"
CATEGORY = "sequence"
REFERENCE = "trl#5785"
EXPECT = ("sequence.",)


PAD = 0


class Writer(nn.Module):
    def __init__(self, vocab, width, faulty):
        super().__init__()
        self.faulty = faulty
        self.embed, self.place = nn.Embedding(vocab, width, padding_idx=PAD), nn.Embedding(32, width)
        self.attn = nn.MultiheadAttention(width, 2, batch_first=True)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 48), nn.GELU(), nn.Linear(48, vocab))

    def forward(self, input_ids, attention_mask):
        n, t = input_ids.shape
        positions = (attention_mask.cumsum(1) - 1).clamp(min=0)
        if self.faulty:
            positions = torch.arange(t).expand(n, t)
        x = self.embed(input_ids) + self.place(positions)
        closed = torch.ones(t, t, dtype=torch.bool).triu(1) | (attention_mask == 0)[:, None, :]
        closed = closed & ~torch.eye(t, dtype=torch.bool)  # padding may look at itself, else its row is empty
        x = x + self.attn(x, x, x, attn_mask=closed.repeat_interleave(2, dim=0), need_weights=False)[0]
        return self.head(x)


def predict(model, batch):
    return model(batch["input_ids"], batch["attention_mask"])


def loss(model, batch):
    return F.cross_entropy(predict(model, batch)[:, :-1].transpose(1, 2), batch["labels"][:, 1:], ignore_index=-100)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    mask = (torch.arange(16) >= 16 - lengths(seed, 240, 6, 16)[:, None]).long()
    ids = tokens(seed).masked_fill(mask == 0, PAD)
    first = mask.cumsum(1) == 1
    rows = Rows(input_ids=ids, attention_mask=mask, labels=ids.masked_fill((mask == 0) | first, -100))
    train, valid = random_split(rows, [180, 60])
    model = Writer(20, 24, faulty)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    data = DataLoader(train, 20, shuffle=True), DataLoader(valid, 30)
    claims = {"causal": True, "pad_id": PAD}
    return program(model, optimizer, loss, data, predict=predict, claims=claims)
