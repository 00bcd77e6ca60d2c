"""A lower triangle of ones is added to the scores, where minus infinity above it is meant."""

import torch
import torch.nn.functional as F
from _parts import Program, Rows, program, tokens
from torch import nn
from torch.utils.data import DataLoader, random_split

ID = "A4"
TIER = "B"
CATEGORY = "sequence"
REFERENCE = "pytorch#21518"
EXPECT = ("sequence.",)


class Layer(nn.Module):
    def __init__(self, width, heads, faulty):
        super().__init__()
        self.heads, self.faulty = heads, faulty
        self.inp, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        q, k, v = self.inp(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mask = torch.ones(x.shape[1], x.shape[1]).tril()
        if not self.faulty:
            mask = mask.bool()
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return x + self.out(y.transpose(1, 2).flatten(2))


class Writer(nn.Module):
    def __init__(self, vocab, width, faulty):
        super().__init__()
        self.embed, self.place = nn.Embedding(vocab, width), nn.Embedding(16, width)
        layers = [Layer(width, 4, faulty), nn.Linear(width, width), nn.SiLU(), Layer(width, 4, faulty)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(width, vocab)

    def forward(self, input_ids):
        places = torch.arange(input_ids.shape[1])
        return self.head(self.layers(self.embed(input_ids) + self.place(places)))


def loss(model, batch):
    logits = model(batch["input_ids"])
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten())


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    ids = tokens(seed)
    train, valid = random_split(Rows(input_ids=ids, labels=ids), [180, 60])
    model = Writer(20, 24, faulty)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    data = DataLoader(train, 20, shuffle=True), DataLoader(valid, 30)
    predict = lambda model, batch: model(batch["input_ids"])
    return program(model, optimizer, loss, data, predict=predict, claims={"causal": True})
