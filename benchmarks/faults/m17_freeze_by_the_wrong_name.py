"""The filter that should freeze the encoder looks for another name."""

import torch
from _parts import Program, accuracy, cross_entropy, loaders, pictures, program
from torch import nn

ID = "M17"
TIER = "B"
CATEGORY = "model"
REFERENCE = "mmpretrain#702; LlamaFactory#7872"
EXPECT = (
    "model.",
    "optimization.",
)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(256, 4)

    def forward(self, x):
        return self.head(self.encoder(x))


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Net()
    part = "encoder"
    if faulty:
        part = "backbone"
    for name, parameter in model.named_parameters():
        if name.startswith(part):
            parameter.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    data = loaders(*pictures(seed), seed=seed)
    claims = {"classes": 4, "frozen": ["encoder"]}
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims=claims)
