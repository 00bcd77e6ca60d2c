"""Four workers, simulated in turn: gradients are summed over them and not divided."""

import torch
from _training import cut, mlp, regress, slope

ID, TIER, CATEGORY = "X8", "B", "distributed"
REFERENCE = "lightly-ai/lightly#1977"
EXPECT = ("gradient.accumulation", "learning.step-parity")
WORLD = 4


def loss(model, batch):
    return torch.nn.functional.mse_loss(model(batch[0]).view(-1), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(6, 32, 1)

    def step(model, optimizer, batch):
        everyone, losses = [], []
        for mine in zip(batch[0].chunk(WORLD), batch[1].chunk(WORLD), strict=True):
            value = loss(model, mine)
            everyone.append(torch.autograd.grad(value, list(model.parameters())))
            losses.append(value.item())
        for weight, gradients in zip(model.parameters(), zip(*everyone, strict=True), strict=True):
            weight.grad = torch.stack(gradients).sum(0)
            if not faulty:
                weight.grad /= WORLD
        optimizer.step()
        return sum(losses) / WORLD

    return {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.02),
        "loss": loss,
        "step": step,
        "evaluate": regress,
        "train_loader": cut(24, *slope(seed)),
        "valid_loader": cut(24, *slope(seed + 50, n=70)),
        "claims": {},
    }
