"""Hidden layers kept in a plain list: the optimizer never hears of them."""

import torch
from _parts import Program, accuracy, blobs, cross_entropy, loaders, program
from torch import Tensor, nn

ID = "M1"
TIER = "B"
CATEGORY = "model"
REFERENCE = "classic: sub-modules in a Python list"
EXPECT = ("model.",)


class Net(nn.Module):
    def __init__(self, faulty: bool) -> None:
        super().__init__()
        self.first = nn.Linear(12, 32)
        hidden = [nn.Linear(32, 32) for _ in range(2)]
        if not faulty:
            hidden = nn.ModuleList(hidden)
        self.hidden = hidden
        self.head = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        for layer in self.hidden:
            x = x + torch.relu(layer(x))
        return self.head(x)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Net(faulty)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    data = loaders(*blobs(seed), seed=seed)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
