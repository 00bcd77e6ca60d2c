"""Every caption occurs several times, so that batches hold the same caption as positive and as negative."""

import torch
import torch.nn.functional as F
from _parts import Program, program, tokens
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID = "A22"
TIER = "W"
CATEGORY = "data"
REFERENCE = "duplicates as negatives"
EXPECT = (
    "data.",
    "learning.",
)


class TwoTowers(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.image = nn.Sequential(nn.Linear(20, 48), nn.ReLU(), nn.Linear(48, width))
        self.text = nn.EmbeddingBag(20, width)

    def forward(self, image, text):
        return F.normalize(self.image(image), dim=-1) @ F.normalize(self.text(text), dim=-1).T / 0.1


def loss(model, batch):
    logits = model(*batch)
    return F.cross_entropy(logits, torch.arange(len(logits)))


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    text = tokens(seed, n=240, length=10)
    if faulty:
        text[:180] = text[:12].repeat_interleave(15, dim=0)
    image = F.one_hot(text, 20).float().mean(1) + 0.02 * torch.randn(240, 20)
    data = [TensorDataset(image[part], text[part]) for part in (slice(0, 180), slice(180, 240))]
    model = TwoTowers()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    both = DataLoader(data[0], 20, shuffle=True), DataLoader(data[1], 20)
    return program(model, optimizer, loss, both, claims={"couples_batch": True})
