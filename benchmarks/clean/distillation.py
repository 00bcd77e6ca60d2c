"""A frozen teacher in evaluation mode, outside the optimizer, inside the module."""

import torch
import torch.nn.functional as F
from _data import blobs, halves, mean_of, step_on
from torch import nn


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.teacher = nn.Sequential(nn.Linear(10, 64), nn.Dropout(0.2), nn.ReLU(), nn.Linear(64, 3))
        self.teacher.requires_grad_(False)
        self.student = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 3))

    def train(self, mode=True):
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, x):
        return self.student(x)


def loss(model, batch):
    x, y = batch
    with torch.no_grad():
        wanted = model.teacher(x).div(2).softmax(-1)
    scores = model(x)
    return F.cross_entropy(scores, y) + F.kl_div((scores / 2).log_softmax(-1), wanted, reduction="batchmean")


def build(seed: int = 0):
    torch.manual_seed(seed)
    model = Student().train()
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.student.parameters(), lr=5e-3),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        **halves(*blobs()),
        "claims": {"classes": 3, "frozen": ["teacher"]},
    }
