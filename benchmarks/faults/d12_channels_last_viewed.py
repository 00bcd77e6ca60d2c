"""Pictures stored with channels last are viewed, not permuted, to channels first."""

import torch
from _parts import Program, accuracy, cross_entropy, loaders, pictures, program
from torch import nn

ID = "D12"
TIER = "W"
CATEGORY = "data"
REFERENCE = "preflight-ml; torch-audit TA303"
EXPECT = ("data.",)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = pictures(seed, size=12)
    stored = x.permute(0, 2, 3, 1).contiguous()  # as the files have it
    x = stored.permute(0, 3, 1, 2)
    if faulty:
        x = stored.view(len(stored), 3, 12, 12)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3), nn.Flatten(), nn.Linear(128, 4)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    return program(model, optimizer, cross_entropy, loaders(x, y, seed=seed), evaluate=accuracy, claims={"classes": 4})
