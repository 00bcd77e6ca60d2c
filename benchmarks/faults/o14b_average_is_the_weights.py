"""The average starts as a reference to the weights, and so stays equal to them."""

import copy

import torch
from _training import mlp, plain_step, regress, slope
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "O14b", "B", "optimizer"
REFERENCE = "weights kept by reference, as in pytorch/tutorials#188"
EXPECT = ("optimizer.ema",)


class Ema:
    def __init__(self, model, faulty, decay=0.9):
        self.decay = decay
        weights = dict(model.named_parameters())
        self.shadow = (
            {n: w.data for n, w in weights.items()}
            if faulty
            else copy.deepcopy({n: w.data for n, w in weights.items()})
        )

    def update(self, model):
        for name, weight in model.named_parameters():
            self.shadow[name].lerp_(weight.data, 1 - self.decay)

    def state_dict(self):
        return self.shadow

    def load_state_dict(self, state):
        for name, value in state.items():
            self.shadow[name].copy_(value)


def loss(model, batch):
    return (model(batch[0]).squeeze(-1) - batch[1]).pow(2).mean()


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(6, 24, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    ema = Ema(model, faulty)
    update = plain_step(loss)

    def step(model, optimizer, batch):
        value = update(model, optimizer, batch)
        ema.update(model)
        return value

    def save(path):
        parts = {"model": model, "optimizer": optimizer, "ema": ema}
        torch.save({name: part.state_dict() for name, part in parts.items()}, path)

    def load(path):
        state = torch.load(path)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        ema.load_state_dict(state["ema"])

    return {
        "model": model,
        "optimizer": optimizer,
        "ema": ema,
        "loss": loss,
        "step": step,
        "evaluate": regress,
        "save": save,
        "load": load,
        "train_loader": DataLoader(TensorDataset(*slope(seed)), batch_size=24, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*slope(seed + 50, n=80)), batch_size=24),
        "claims": {},
    }
