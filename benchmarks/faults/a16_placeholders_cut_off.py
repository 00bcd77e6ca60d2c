"""Truncation removes image placeholders but no image features: features slide to the next sample."""

import torch
import torch.nn.functional as F
from _parts import Program, pictures, program
from torch import nn
from torch.utils.data import DataLoader

ID = "A16"
TIER = "B"
CATEGORY = "sequence"
REFERENCE = "trl#5904; mlx-vlm#1830; verl#3428"
EXPECT = (
    "sequence.",
    "model.",
    "data.",
    "multimodal.",
)


IMAGE, PAD, PATCHES = 1, 0, 4


class Seer(nn.Module):
    def __init__(self, vocab, width):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.patch = nn.Conv2d(3, width, 5, stride=5)
        self.rnn, self.head = nn.GRU(width, 32, batch_first=True), nn.Linear(32, 4)

    def forward(self, input_ids, pixel_values):
        text = self.embed(input_ids)
        image = self.patch(pixel_values).flatten(2).transpose(1, 2)
        mixed = text.masked_scatter((input_ids == IMAGE)[..., None], image)
        return self.head(self.rnn(mixed)[0].mean(1))


def collate(limit):
    def merge(rows):
        longest = max(len(row["ids"]) for row in rows)
        ids = torch.stack([F.pad(row["ids"], (longest - len(row["ids"]), 0), value=PAD) for row in rows])
        images = torch.stack([row["image"] for row in rows])
        labels = torch.tensor([row["label"] for row in rows])
        return {"input_ids": ids[:, :limit], "pixel_values": images, "label": labels}

    return merge


def loss(model, batch):
    return F.cross_entropy(model(batch["input_ids"], batch["pixel_values"]), batch["label"])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = pictures(seed)
    rows = []
    for image, label in zip(x, y, strict=True):
        words = torch.randint(2, 12, (int(torch.randint(3, 9, ())),))
        rows.append({"ids": torch.cat([words, torch.full((PATCHES,), IMAGE)]), "image": image, "label": int(label)})
    limit = 16
    if faulty:
        limit = 10
    train = DataLoader(rows[:180], 20, shuffle=True, collate_fn=collate(limit))
    valid = DataLoader(rows[180:], 30, collate_fn=collate(limit))
    model = Seer(12, 24)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    claims = {"classes": 4, "modalities": ["pixel_values"]}
    return program(model, optimizer, loss, (train, valid), claims=claims)
