"""The names of the modules that get an adapter are misspelt: only the head is trained."""

import torch
import torch.nn.functional as F
from _parts import Program, accuracy, blobs, cross_entropy, loaders, program
from torch import nn

ID = "M26"
TIER = "B"
CATEGORY = "model"
REFERENCE = "PEFT target_modules that match nothing"
EXPECT = (
    "model.",
    "config.",
)


class LowRank(nn.Module):
    def __init__(self, base, rank):
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        return self.base(x) + F.linear(F.linear(x, self.down), self.up)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.in_proj, self.mid_proj, self.head = nn.Linear(12, 32), nn.Linear(32, 32), nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.mid_proj(self.in_proj(x).relu()).relu())


def adapted(model, targets, rank):
    for name, module in list(model.named_children()):
        if name != "head":
            module.requires_grad_(False)
        if name in targets:
            setattr(model, name, LowRank(module, rank))
    return model


def build(faulty: bool = False, seed: int = 0, rank: int = 4) -> Program:
    torch.manual_seed(seed)
    targets = ["in_proj", "mid_proj"]
    if faulty:
        targets = ["inproj", "midproj"]
    model = adapted(Net(), targets, rank)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
    data = loaders(*blobs(seed), seed=seed)
    return program(
        model,
        optimizer,
        cross_entropy,
        data,
        evaluate=accuracy,
        config={"rank": rank},
        with_config=lambda config: build(faulty, seed, **config),
        claims={"classes": 4, "frozen": ["in_proj.base", "mid_proj.base"]},
    )
