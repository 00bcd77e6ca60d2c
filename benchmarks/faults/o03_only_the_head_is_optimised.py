"""The optimizer holds the head of a network that has just been initialised."""

import torch
import torch.nn.functional as F
from _training import classify, pictures, plain_step
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "O3", "B", "optimizer"
REFERENCE = "torchtest2"
EXPECT = ("model.late-parameters", "model.unused-parameters", "optimizer")


class SmallConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 12, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2)
        )
        self.head = nn.Linear(48, 3)

    def forward(self, images):
        return self.head(self.backbone(images).flatten(1))


def loss(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1], label_smoothing=0.05)


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = SmallConv()
    trained = model.head if faulty else model
    return {
        "model": model,
        "optimizer": torch.optim.Adam(trained.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": DataLoader(TensorDataset(*pictures(seed)), batch_size=20, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*pictures(seed + 50, n=70)), batch_size=20),
        "claims": {"classes": 3},
    }
