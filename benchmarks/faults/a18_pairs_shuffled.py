"""Captions are shuffled against their pictures."""

import torch
import torch.nn.functional as F
from _parts import Program, Rows, pictures, program
from torch import nn
from torch.utils.data import DataLoader, random_split

ID = "A18"
TIER = "W"
CATEGORY = "sequence"
REFERENCE = "image-text pairs out of order"
EXPECT = (
    "learning.",
    "data.",
    "multimodal.",
)


class Matcher(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(128, width))
        self.text = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, width))
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, image, text):
        a, b = F.normalize(self.image(image), dim=-1), F.normalize(self.text(text), dim=-1)
        return self.scale.exp() * a @ b.T


def loss(model, batch):
    logits = model(batch["image"], batch["caption"])
    target = torch.arange(len(logits))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, _ = pictures(seed)
    caption = x.flatten(1) @ torch.randn(300, 16) / 12 + 0.1 * torch.randn(240, 16)
    if faulty:
        caption = caption[torch.randperm(240)]
    train, valid = random_split(Rows(image=x, caption=caption), [180, 60])
    model = Matcher()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    data = DataLoader(train, 20, shuffle=True), DataLoader(valid, 20)
    return program(model, optimizer, loss, data, claims={"couples_batch": True, "modalities": ["image", "caption"]})
