"""torch.compile, where a compiler is there; a residual network on a spiral, the whole data as one batch at a time."""

import shutil

import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x):
        return x + self.inner(x)


torch.manual_seed(4)
t = torch.linspace(0.2, 3.0, 400).repeat(2)
side = torch.arange(2).repeat_interleave(400)
angle = 2.5 * t + torch.pi * side
points = torch.stack([t * angle.cos(), t * angle.sin()], 1) + 0.05 * torch.randn(800, 2)
order = torch.randperm(800)
train_idx, test_idx = order[:640], order[640:]

model = nn.Sequential(nn.Linear(2, 32), Residual(32), Residual(32), nn.Linear(32, 2))
step_model = torch.compile(model) if shutil.which("g++") or shutil.which("clang++") else model
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for _ in range(60):
    batch = train_idx[torch.randint(len(train_idx), (128,))]
    loss = nn.functional.cross_entropy(step_model(points[batch]), side[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
model.eval()
with torch.no_grad():
    print("accuracy", (model(points[test_idx]).argmax(1) == side[test_idx]).float().mean().item())
