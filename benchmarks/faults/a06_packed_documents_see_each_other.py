"""Two documents are packed into one row, and the second attends to the first."""

import torch
import torch.nn.functional as F
from _parts import Program, Rows, program, tokens
from torch import nn
from torch.utils.data import DataLoader, random_split

ID = "A6"
TIER = "B"
CATEGORY = "sequence"
REFERENCE = "transformers#46634; trl#3526; torchtune#892"
EXPECT = ("sequence.",)


class Packed(nn.Module):
    def __init__(self, vocab, width, faulty):
        super().__init__()
        self.faulty = faulty
        self.embed, self.place = nn.Embedding(vocab, width), nn.Embedding(16, width)
        self.norm, self.attn = nn.LayerNorm(width), nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 48), nn.ReLU(), nn.Linear(48, width))
        self.head = nn.Linear(width, vocab)

    def forward(self, input_ids, position_ids, segment_ids):
        t = input_ids.shape[1]
        allowed = torch.ones(t, t, dtype=torch.bool).tril().expand(len(input_ids), t, t)
        if not self.faulty:
            allowed = allowed & (segment_ids[:, :, None] == segment_ids[:, None, :])
        x = self.embed(input_ids) + self.place(position_ids)
        h = self.norm(x)
        x = x + self.attn(h, h, h, attn_mask=~allowed.repeat_interleave(2, dim=0), need_weights=False)[0]
        return self.head(x + self.mlp(x))


def loss(model, batch):
    logits = model(batch["input_ids"], batch["position_ids"], batch["segment_ids"])
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=-100)


def predict(model, batch):
    return model(batch["input_ids"], batch["position_ids"], batch["segment_ids"])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    ids = tokens(seed)
    first = torch.randint(5, 12, (240, 1))
    segment = (torch.arange(16) >= first).long()
    place = torch.arange(16) - segment * first
    labels = ids.masked_fill(place == 0, -100)
    rows = Rows(input_ids=ids, position_ids=place, segment_ids=segment, labels=labels)
    train, valid = random_split(rows, [180, 60])
    model = Packed(20, 24, faulty)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    data = DataLoader(train, 20, shuffle=True), DataLoader(valid, 30)
    return program(model, optimizer, loss, data, predict=predict, claims={"causal": True, "packing": "isolated"})
