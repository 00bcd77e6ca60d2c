"""The network is trained towards random numbers, new ones at each call."""

import torch
from _training import plain_step, slope
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "G-5", "B", "origins"
REFERENCE = "Astro: MSE to torch.randn_like(output)"
EXPECT = ("learning", "model", "data", "loss")


class Climate(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv1d(1, 8, 3, padding=1), nn.GELU(), nn.Conv1d(8, 1, 3, padding=1))

    def forward(self, profile):
        return self.net(profile.unsqueeze(1)).squeeze(1)


def profiles(part, n):
    inputs, _ = slope(part, n=n)
    return TensorDataset(inputs, torch.nn.functional.avg_pool1d(inputs.unsqueeze(1), 3, 1, 1).squeeze(1))


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        errors = torch.cat([(model(x) - y).square().flatten() for x, y in loader])
    model.train()
    return {"mse": errors.mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Climate()

    def loss(model, batch):
        output = model(batch[0])
        target = torch.randn_like(output) if faulty else batch[1]
        return nn.functional.mse_loss(output, target)

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "train_loader": DataLoader(profiles(seed, 200), batch_size=20, shuffle=True),
        "valid_loader": DataLoader(profiles(seed + 50, 60), batch_size=20),
        "claims": {},
    }
