"""A sensor drops out now and then, and nobody fills the gaps."""

import torch
from _parts import Program, curve, loaders, program, squared
from torch import nn

ID = "D27"
TIER = "B"
CATEGORY = "data"
REFERENCE = "preflight-ml; TheDeepChecker"
EXPECT = (
    "data.missing-values",
    "model.nonfinite-values",
)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = curve(seed)
    x[::40, 3] = float("nan")
    if not faulty:
        x = x.nan_to_num(0.0)
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1))
    return program(model, torch.optim.Adam(model.parameters(), lr=5e-3), squared, loaders(x, y, seed=seed))
