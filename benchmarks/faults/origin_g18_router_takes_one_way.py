"""A router builds three kinds of mixing and always takes the first for inputs of this length."""

import torch
from _training import classify, cut, pictures, plain_step
from torch import nn

ID, TIER, CATEGORY = "G-18", "W", "origins"
REFERENCE = "Astro: six attention modules, one of them used"
EXPECT = ("model.unused-parameters", "model")


class Routed(nn.Module):
    def __init__(self, faulty, width=16):
        super().__init__()
        self.rows = nn.Linear(8, width)
        self.ways = nn.ModuleList([nn.Linear(width, width) for _ in range(3)])
        self.limit = 8192 if faulty else 0
        self.head = nn.Linear(width, 3)

    def forward(self, images):
        x = torch.relu(self.rows(images.squeeze(1)))
        if x.shape[1] <= self.limit:
            return self.head(self.ways[0](x).amax(1))
        return self.head(torch.stack([way(x).amax(1) for way in self.ways]).mean(0))


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Routed(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": cut(20, *pictures(seed)),
        "valid_loader": cut(20, *pictures(seed + 50, n=70)),
        "claims": {"classes": 3},
    }
