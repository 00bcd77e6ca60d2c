"""The chosen expert's output is not weighted by its gate: the router never learns."""

import torch
from _parts import Program, accuracy, blobs, cross_entropy, loaders, program
from torch import nn

ID = "A25"
TIER = "W"
CATEGORY = "model"
REFERENCE = "argmax without the gate's weight"
EXPECT = (
    "model.unused-parameters",
    "model.",
)


class Switch(nn.Module):
    def __init__(self, faulty, experts=3):
        super().__init__()
        self.faulty = faulty
        self.router = nn.Linear(12, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 4)) for _ in range(experts)
        )

    def forward(self, x):
        gate, chosen = self.router(x).softmax(-1).max(-1)
        out = x.new_zeros(len(x), 4)
        for i, expert in enumerate(self.experts):
            rows = chosen == i
            out[rows] = expert(x[rows])
        return out if self.faulty else gate[:, None] * out


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Switch(faulty)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    data = loaders(*blobs(seed), seed=seed)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
