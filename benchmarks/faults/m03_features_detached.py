"""The features leave the graph on their way to the head."""

import torch
from _parts import Program, accuracy, cross_entropy, loaders, pictures, program
from torch import nn

ID = "M3"
TIER = "B"
CATEGORY = "model"
REFERENCE = "torchtest2, gallery"
EXPECT = ("model.unused-parameters",)


class Net(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU())
        self.classifier = nn.Linear(72, 4)

    def forward(self, x):
        h = self.features(x).flatten(1)
        if self.faulty:
            h = h.data
        return self.classifier(h)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Net(faulty)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    data = loaders(*pictures(seed), seed=seed)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
