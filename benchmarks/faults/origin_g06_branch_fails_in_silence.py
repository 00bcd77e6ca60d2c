"""The patch branch gets tensors of the wrong rank; a `try` around it hides that it never runs."""

import torch
from _training import classify, cut, pictures, plain_step
from torch import nn

ID, TIER, CATEGORY = "G-6", "W", "origins"
REFERENCE = "Astro: the ViT branch is skipped by an exception"
EXPECT = ("model.unused-parameters", "model")


class Hybrid(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.conv = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU())
        self.patches = nn.Linear(16, 12)
        self.head = nn.Linear(6 + 12, 3)

    def forward(self, images):
        maps = self.conv(images)
        local = maps.amax(dim=(2, 3))
        tiles = images.unfold(2, 4, 4).unfold(3, 4, 4)
        try:
            tokens = self.patches(tiles if self.faulty else tiles.flatten(4).flatten(1, 3))
            wide = torch.tanh(tokens).amax(1)
        except RuntimeError:
            wide = local.new_zeros(len(images), 12)
        return self.head(torch.cat([local, wide], dim=-1))


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Hybrid(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=4e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": cut(20, *pictures(seed)),
        "valid_loader": cut(20, *pictures(seed + 50, n=70)),
        "claims": {"classes": 3},
    }
