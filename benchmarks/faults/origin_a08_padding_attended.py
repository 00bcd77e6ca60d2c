"""Padding is attended to like words: an answer depends on who else is in the batch."""

import torch
from _training import generator, plain_step
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

ID, TIER, CATEGORY = "A-8", "W", "origins"
REFERENCE = "ARC ladder: no key_padding_mask is passed"
EXPECT = ("sequence", "model")


class Sentiment(nn.Module):
    def __init__(self, faulty, width=24):
        super().__init__()
        self.faulty = faulty
        self.words = nn.Embedding(30, width)
        self.attend = nn.MultiheadAttention(width, 2, batch_first=True)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2))

    def forward(self, ids):
        padding = ids == 0
        hidden = self.words(ids)
        mixed, _ = self.attend(hidden, hidden, hidden, key_padding_mask=None if self.faulty else padding)
        real = (~padding).unsqueeze(-1)
        return self.head(((hidden + mixed) * real).sum(1) / real.sum(1))


def reviews(part, n):
    draw = generator(part)
    rows = [torch.randint(1, 30, (int(torch.randint(3, 16, (), generator=draw)),), generator=draw) for _ in range(n)]
    return [(row, int((row > 15).float().mean() > 0.5)) for row in rows]


def collate(rows):
    ids, labels = zip(*rows, strict=True)
    return pad_sequence(list(ids), batch_first=True), torch.tensor(labels)


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        hits = torch.cat([model(ids).argmax(-1) == labels for ids, labels in loader])
    model.train()
    return {"accuracy": hits.float().mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Sentiment(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "predict": lambda model, batch: model(batch[0]),
        "train_loader": DataLoader(reviews(seed, 240), batch_size=24, shuffle=True, collate_fn=collate),
        "valid_loader": DataLoader(reviews(seed + 50, 80), batch_size=24, collate_fn=collate),
        "claims": {"pad_id": 0, "classes": 2},
    }
