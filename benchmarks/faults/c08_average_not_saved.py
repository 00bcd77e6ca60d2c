"""The averaged weights, which are the ones in use, are in no checkpoint."""

import torch
from _training import blobs, classify, mlp, plain_step
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "C8", "W", "checkpoint"
REFERENCE = "lightly-ai/lightly-train#892"
EXPECT = ("reproducibility",)


def loss(model, batch):
    return cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(8, 32, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    one_step = plain_step(loss)

    def step(model, optimizer, batch):
        value = one_step(model, optimizer, batch)
        average.update_parameters(model)
        return value

    def save(path):
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        if not faulty:
            state["average"] = average.state_dict()
        torch.save(state, path)

    def load(path):
        state = torch.load(path)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        if "average" in state:
            average.load_state_dict(state["average"])

    return {
        "model": model,
        "optimizer": optimizer,
        "ema": average,
        "loss": loss,
        "step": step,
        "evaluate": lambda model, loader: classify(average, loader),
        "save": save,
        "load": load,
        "train_loader": DataLoader(TensorDataset(*blobs(seed)), batch_size=32, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*blobs(seed + 50, n=70)), batch_size=32),
        "claims": {"classes": 4},
    }
