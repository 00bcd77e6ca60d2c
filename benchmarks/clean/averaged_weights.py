"""An exponential average of the weights is kept, saved, and used for validation."""

import torch
import torch.nn.functional as F
from _data import blobs, halves
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def build(seed: int = 0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95), use_buffers=True)
    loss = lambda model, batch: F.cross_entropy(model(batch[0]), batch[1])

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        ema.update_parameters(model)
        return value.item()

    @torch.no_grad()
    def evaluate(model, loader):
        was = model.training
        model.eval()
        pairs = [(model(x).argmax(1) == y).float() for x, y in loader]
        model.train(was)
        return {"accuracy": torch.cat(pairs).mean().item()}

    def save(path):
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "ema": ema.state_dict()}, path)

    def load(path):
        state = torch.load(path)
        for part, name in ((model, "model"), (optimizer, "optimizer"), (ema, "ema")):
            part.load_state_dict(state[name])

    return {
        "model": model,
        "optimizer": optimizer,
        "ema": ema,
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        **halves(*blobs(), batch=24),
        "save": save,
        "load": load,
        "claims": {"classes": 3},
    }
