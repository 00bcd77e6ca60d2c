"""Astro: "13.14 B parameters, calculated and verified".

Its 56 encoder layers are built without `dim_feedforward`, so they get torch's default of 2048 and not the 17408 of
the document: the code counts 6.097 B. Here: the same omission in a model some hundred thousand times smaller, whose
published number was calculated from the document as well.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "story-astro", "B", "stories"
REFERENCE = "Astro: 56 layers without dim_feedforward"
EXPECT = ("model.parameter-count",)
WIDTH, LAYERS, HEADS, WIDE, VOCAB, LENGTH = 32, 3, 4, 128, 32, 16
PER_LAYER = 4 * (WIDTH * WIDTH + WIDTH) + 2 * WIDTH * WIDE + WIDE + WIDTH + 4 * WIDTH
PUBLISHED = LAYERS * PER_LAYER + VOCAB * WIDTH + LENGTH * WIDTH + WIDTH * VOCAB + VOCAB


class Language(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        sizes = {} if faulty else {"dim_feedforward": WIDE}
        self.embed, self.places = nn.Embedding(VOCAB, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(WIDTH, HEADS, dropout=0.0, batch_first=True, **sizes) for _ in range(LAYERS)
        )
        self.head = nn.Linear(WIDTH, VOCAB)

    def forward(self, ids):
        hidden = self.embed(ids) + self.places(torch.arange(ids.shape[1]))
        mask = torch.full((ids.shape[1], ids.shape[1]), float("-inf")).triu(1).to(hidden)
        for layer in self.layers:
            hidden = layer(hidden, src_mask=mask)
        return self.head(hidden)


def sentences(part, n):
    draw = torch.Generator().manual_seed(part)
    rows = [torch.randint(VOCAB, (n,), generator=draw)]
    for _ in range(LENGTH - 1):
        rows.append((3 * rows[-1] + 1 + 4 * torch.randint(3, (n,), generator=draw)) % VOCAB)
    return TensorDataset(torch.stack(rows, dim=1))


def loss(model, batch):
    (ids,) = batch
    return F.cross_entropy(model(ids)[:, :-1].transpose(1, 2), ids[:, 1:])


def step(model, optimizer, batch):
    optimizer.zero_grad()
    value = loss(model, batch)
    value.backward()
    optimizer.step()
    return value.item()


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        values = [(loss(model, batch).item() * len(batch[0]), len(batch[0])) for batch in loader]
    model.train()
    return {"loss": sum(value for value, _ in values) / sum(rows for _, rows in values)}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Language(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=2e-3),
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        "predict": lambda model, batch: model(batch[0]),
        "train_loader": DataLoader(sentences(seed, 192), batch_size=16, shuffle=True),
        "valid_loader": DataLoader(sentences(seed + 500, 64), batch_size=16),
        "claims": {"parameters": PUBLISHED, "causal": True, "classes": VOCAB},
        "proxy": "the language model of 13.14 B parameters, some hundred thousand times smaller",
    }
