"""BatchNorm everywhere, momentum of its own, a last batch that is dropped in training."""

import torch
import torch.nn.functional as F
from _data import mean_of, step_on
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def build(seed: int = 0):
    torch.manual_seed(seed)
    y = torch.randint(0, 3, (250,))
    x = torch.randn(250, 1, 8, 8) + torch.randn(3, 1, 8, 8)[y]
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, bias=False),
        nn.BatchNorm2d(8, momentum=0.3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(128, 3),
    )
    loss = lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])
    return {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": mean_of(loss),
        "train_loader": DataLoader(TensorDataset(x[:190], y[:190]), 32, shuffle=True, drop_last=True),
        "valid_loader": DataLoader(TensorDataset(x[190:], y[190:]), 32),
        "claims": {"classes": 3},
    }
