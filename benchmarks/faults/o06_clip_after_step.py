"""The gradients are clipped when they have been used already."""

import torch
from _training import cut, mlp, regress, slope

ID, TIER, CATEGORY = "O6", "B", "optimizer"
REFERENCE = "swapped lines"
EXPECT = ("gradient.clip-order",)
clip = torch.nn.utils.clip_grad_norm_


def loss(model, batch):
    prices = 40.0 * batch[1]
    return torch.nn.functional.mse_loss(40.0 * model(batch[0]).squeeze(-1), prices)


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(6, 32, 1)

    def step(model, optimizer, batch):
        optimizer.zero_grad(set_to_none=True)
        value = loss(model, batch)
        value.backward()
        if not faulty:
            clip(model.parameters(), max_norm=1.0)
        optimizer.step()
        clip(model.parameters(), max_norm=1.0)
        return value.item()

    return {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.8),
        "loss": loss,
        "step": step,
        "evaluate": regress,
        "predict": lambda model, batch: model(batch[0]),
        "train_loader": cut(30, *slope(seed)),
        "valid_loader": cut(30, *slope(seed + 50, n=70)),
        "claims": {"max_norm": 1.0},
    }
