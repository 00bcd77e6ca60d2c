"""Prompts padded on the left, masked in attention, positions and loss."""

import torch
import torch.nn.functional as F
from _data import chains, step_on
from torch import nn
from torch.utils.data import DataLoader

PAD, EOS = 0, 1


class Decoder(nn.Module):
    def __init__(self, vocab=15, width=24, heads=2):
        super().__init__()
        self.heads = heads
        self.embed, self.place = nn.Embedding(vocab, width), nn.Embedding(20, width)
        self.norm, self.attention = nn.LayerNorm(width), nn.MultiheadAttention(width, heads, batch_first=True)
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 48), nn.GELU(), nn.Linear(48, vocab))

    def forward(self, input_ids, attention_mask):
        t = input_ids.shape[1]
        place = (attention_mask.long().cumsum(1) - 1).clamp(min=0)
        x = self.embed(input_ids) + self.place(place)
        seen = torch.ones(t, t).tril().bool() & attention_mask.bool()[:, None, :]
        seen = seen | torch.eye(t).bool()
        h = self.norm(x)
        mask = (~seen).repeat_interleave(self.heads, 0)
        return self.out(x + self.attention(h, h, h, attn_mask=mask, need_weights=False)[0])


def collate(rows):
    longest = max(map(len, rows))
    gaps = [longest - len(row) for row in rows]
    ids = torch.stack([F.pad(row, (gap, 0), value=PAD) for row, gap in zip(rows, gaps, strict=True)])
    mask = torch.stack([F.pad(torch.ones_like(row), (gap, 0)) for row, gap in zip(rows, gaps, strict=True)])
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}


def loss(model, batch):
    logits = model(batch["input_ids"], batch["attention_mask"])[:, :-1]
    labels = batch["labels"][:, 1:].masked_fill(batch["attention_mask"][:, :-1] == 0, -100)
    return F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=-100)


@torch.no_grad()
def evaluate(model, loader):
    mode = model.training
    model.eval()
    total, count = 0.0, 0
    for batch in loader:
        n = int(((batch["labels"][:, 1:] != -100) & (batch["attention_mask"][:, :-1] == 1)).sum())
        total, count = total + float(loss(model, batch)) * n, count + n
    model.train(mode)
    return {"loss": total / count}


def build(seed: int = 0):
    torch.manual_seed(seed)
    end = torch.tensor([EOS])
    texts = [torch.cat([row[: 7 + i % 8], end]) for i, row in enumerate(chains())]
    model = Decoder()
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": evaluate,
        "predict": lambda model, batch: model(batch["input_ids"], batch["attention_mask"]),
        "train_loader": DataLoader(texts[:180], 20, shuffle=True, collate_fn=collate),
        "valid_loader": DataLoader(texts[180:], 20, collate_fn=collate),
        "claims": {"causal": True, "pad_id": PAD, "eos_id": EOS},
    }
