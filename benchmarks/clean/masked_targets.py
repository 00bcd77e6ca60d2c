"""A third of the targets is missing, as NaN, and the loss leaves them out."""

import torch
from _data import step_on
from torch import nn
from torch.utils.data import DataLoader


class Table(torch.utils.data.Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"x": self.x[i], "target": self.y[i]}


def loss(model, batch):
    there = ~batch["target"].isnan()
    error = model(batch["x"]) - batch["target"].nan_to_num()
    return (error.square() * there).sum() / there.sum().clamp(min=1)


@torch.no_grad()
def evaluate(model, loader):
    mode = model.training
    model.eval()
    squares, count = 0.0, 0
    for batch in loader:
        n = int((~batch["target"].isnan()).sum())
        squares, count = squares + float(loss(model, batch)) * n, count + n
    model.train(mode)
    return {"mse": squares / count}


def build(seed: int = 0):
    torch.manual_seed(seed)
    x = torch.randn(300, 8)
    y = (x @ torch.randn(8, 4)).tanh() + 0.05 * torch.randn(300, 4)
    y[torch.rand(300, 4) < 0.33] = float("nan")
    model = nn.Sequential(nn.Linear(8, 48), nn.GELU(), nn.Linear(48, 4))
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": evaluate,
        "train_loader": DataLoader(Table(x[:240], y[:240]), 30, shuffle=True),
        "valid_loader": DataLoader(Table(x[240:], y[240:]), 30),
        "claims": {"missing": ["target"], "target": "target"},
    }
