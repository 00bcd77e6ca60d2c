"""The terms of the loss are put into a new tensor, which has no history."""

import torch
import torch.nn.functional as F
from _training import blobs, plain_step
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "L11", "B", "loss"
REFERENCE = "torchtest2; torch.tensor([a, b], requires_grad=True) cuts the graph"
EXPECT = ("model.unused-parameters", "loss", "gradient")


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(8, 32), nn.Tanh())
        self.kind, self.size = nn.Linear(32, 4), nn.Linear(32, 1)

    def forward(self, inputs):
        hidden = self.trunk(inputs)
        return self.kind(hidden), self.size(hidden).squeeze(-1)


def evaluate(model, loader):
    model.eval()
    right = total = 0
    with torch.no_grad():
        for inputs, kinds, _ in loader:
            right += (model(inputs)[0].argmax(-1) == kinds).sum().item()
            total += len(kinds)
    model.train()
    return {"accuracy": right / total}


def table(part, n):
    inputs, kinds = blobs(part, n=n)
    return TensorDataset(inputs, kinds, inputs[:, 0] - 0.5 * inputs[:, 3])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = TwoHeads()

    def loss(model, batch):
        inputs, kinds, sizes = batch
        kind, size = model(inputs)
        terms = [F.cross_entropy(kind, kinds), 0.1 * F.mse_loss(size, sizes)]
        if faulty:
            return torch.tensor([term.item() for term in terms], requires_grad=True).sum()
        return torch.stack(terms).sum()

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "train_loader": DataLoader(table(seed, 240), batch_size=32, shuffle=True),
        "valid_loader": DataLoader(table(seed + 50, 70), batch_size=32),
        "claims": {"classes": 4},
    }
