"""Random flips and noise in training, none in validation; labels stay."""

import torch
import torch.nn.functional as F
from _data import mean_of, step_on
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset):
    def __init__(self, x, y, augment):
        self.x, self.y, self.augment = x, y, augment

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        x = self.x[i]
        if self.augment:
            x = x.flip(-1) if torch.rand(()) < 0.5 else x
            x = x + 0.05 * torch.randn(x.shape)
        return x, int(self.y[i])


def build(seed: int = 0):
    torch.manual_seed(seed)
    y = torch.randint(0, 4, (240,))
    pattern = torch.randn(4, 3, 8, 8)
    x = 0.6 * torch.randn(240, 3, 8, 8) + pattern[y] + pattern[y].flip(-1)
    features = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.Flatten())
    model = nn.Sequential(features, nn.Dropout(0.3), nn.Linear(288, 4))
    loss = lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        "train_loader": DataLoader(Pictures(x[:180], y[:180], True), 20, shuffle=True),
        "valid_loader": DataLoader(Pictures(x[180:], y[180:], False), 20),
        "claims": {"classes": 4},
    }
