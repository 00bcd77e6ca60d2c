"""Tokens are padded on the left, their modality markers on the right."""

import torch
import torch.nn.functional as F
from _parts import Program, lengths, program, tokens
from torch import nn
from torch.utils.data import DataLoader

ID = "A17"
TIER = "B"
CATEGORY = "sequence"
REFERENCE = "trl#5785"
EXPECT = (
    "sequence.",
    "data.",
    "multimodal.",
)


PAD = 0


class Judge(nn.Module):
    def __init__(self, vocab, width):
        super().__init__()
        self.embed, self.kind = nn.Embedding(vocab, width, padding_idx=PAD), nn.Embedding(2, width)
        self.net = nn.Sequential(nn.Linear(width, 48), nn.ReLU())
        self.head = nn.Linear(48, 1)

    def forward(self, input_ids, attention_mask, token_type_ids):
        h = self.net(self.embed(input_ids) + self.kind(token_type_ids)) * attention_mask[..., None]
        return self.head(h.sum(1) / attention_mask.sum(1, keepdim=True)).squeeze(-1)


def padded(rows, left):
    longest = max(len(row) for row in rows)
    gaps = [longest - len(row) for row in rows]
    return torch.stack([F.pad(row, (gap, 0) if left else (0, gap)) for row, gap in zip(rows, gaps, strict=True)])


def collate(faulty):
    def merge(rows):
        ids, kinds, rewards = zip(*rows, strict=True)
        return {
            "input_ids": padded(ids, left=True),
            "attention_mask": padded([torch.ones_like(row) for row in ids], left=True),
            "token_type_ids": padded(kinds, left=not faulty),
            "reward": torch.tensor(rewards),
        }

    return merge


def loss(model, batch):
    guess = model(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
    return F.mse_loss(guess, batch["reward"])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    rows = []
    for ids, n in zip(tokens(seed), lengths(seed, 240, 8, 16), strict=True):
        kind = (torch.arange(int(n)) >= n - 4).long()  # the last four tokens are an image
        rows.append((ids[:n], kind, float(ids[n - 4 : n].float().mean() - ids[: n - 4].float().mean()) / 4))
    train = DataLoader(rows[:180], 20, shuffle=True, collate_fn=collate(faulty))
    valid = DataLoader(rows[180:], 30, collate_fn=collate(faulty))
    model = Judge(20, 24)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return program(model, optimizer, loss, (train, valid), claims={"pad_id": PAD})
