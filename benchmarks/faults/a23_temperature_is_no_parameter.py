"""The temperature of a contrastive loss is meant to be learned, and its gradient is switched off."""

import torch
import torch.nn.functional as F
from _parts import Program, loaders, program
from torch import nn

ID = "A23"
TIER = "W"
CATEGORY = "model"
REFERENCE = "logit scale that is never trained"
EXPECT = (
    "model.",
    "optimization.",
    "config.",
)


class Contrast(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.left, self.right = nn.Linear(12, 16), nn.Linear(12, 16)
        self.logit_scale = nn.Parameter(torch.tensor(2.65), requires_grad=not faulty)

    def forward(self, a, b):
        a, b = F.normalize(self.left(a), dim=-1), F.normalize(self.right(b), dim=-1)
        return self.logit_scale.exp().clamp(max=100) * a @ b.T


def loss(model, batch):
    logits = model(*batch)
    return F.cross_entropy(logits, torch.arange(len(logits)))


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    a = torch.randn(300, 12)
    b = a @ torch.randn(12, 12) / 3 + 0.2 * torch.randn(300, 12)
    model = Contrast(faulty)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    return program(model, optimizer, loss, loaders(a, b, seed=seed, batch=25), claims={"couples_batch": True})
