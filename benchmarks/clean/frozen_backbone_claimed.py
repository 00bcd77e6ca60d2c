"""A frozen encoder, as claimed, with its BatchNorm kept in evaluation mode."""

import torch
import torch.nn.functional as F
from _data import halves, mean_of, step_on
from torch import nn


class Transfer(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 12, 3), nn.BatchNorm2d(12), nn.ReLU(), nn.AdaptiveAvgPool2d(3))
        self.backbone.requires_grad_(False).eval()
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(108, 32), nn.ReLU(), nn.Linear(32, 3))

    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x):
        with torch.no_grad():
            h = self.backbone(x)
        return self.head(h)


def build(seed: int = 0):
    torch.manual_seed(seed)
    y = torch.randint(0, 3, (240,))
    x = 0.5 * torch.randn(240, 3, 8, 8) + torch.randn(3, 3, 8, 8)[y]
    model = Transfer()
    loss = lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.head.parameters(), lr=3e-3),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        **halves(x, y),
        "claims": {"classes": 3, "frozen": ["backbone"]},
    }
