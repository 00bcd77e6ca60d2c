"""The optimizer is made before the head is replaced for the new classes."""

import torch
from _parts import accuracy, checkpoint, cross_entropy, loaders, mean_loss, pictures, stepping
from torch import nn

ID = "M15"
TIER = "B"
CATEGORY = "model"
REFERENCE = "torchtest2, gallery; accelerate#2665"
EXPECT = ("model.late-parameters",)


class Backbone(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, stride=2)
        self.fc = nn.Linear(192, classes)

    def forward(self, x):
        return self.fc(self.conv(x).relu().flatten(1))


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Backbone()
    early = torch.optim.Adam(model.parameters(), lr=2e-3)
    model.fc = nn.Linear(192, 4)
    optimizer = early if faulty else torch.optim.Adam(model.parameters(), lr=2e-3)
    train, valid = loaders(*pictures(seed), seed=seed)
    return {
        "model": model,
        "optimizer": optimizer,
        "loss": cross_entropy,
        "step": stepping(cross_entropy),
        "evaluate": lambda model, loader: {**accuracy(model, loader), **mean_loss(cross_entropy)(model, loader)},
        "train_loader": train,
        "valid_loader": valid,
        "claims": {"classes": 4},
        **checkpoint(model=model, optimizer=optimizer),
    }
