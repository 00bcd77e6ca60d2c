"""To save space the checkpoint is written in half precision."""

import torch
from _training import cut, mlp, plain_step, regress, slope

ID, TIER, CATEGORY = "C10", "W", "checkpoint"
REFERENCE = "a reload that changes the precision"
EXPECT = ("reproducibility",)


def loss(model, batch):
    return (model(batch[0]).squeeze(-1) - batch[1]).abs().mean()


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(6, 48, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)

    def save(path):
        weights = {name: value.half() if faulty else value for name, value in model.state_dict().items()}
        torch.save({"weights": weights, "optimizer": optimizer.state_dict()}, path)

    def load(path):
        state = torch.load(path)
        model.load_state_dict(state["weights"])
        optimizer.load_state_dict(state["optimizer"])

    return {
        "model": model,
        "optimizer": optimizer,
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": regress,
        "save": save,
        "load": load,
        "train_loader": cut(24, *slope(seed)),
        "valid_loader": cut(24, *slope(seed + 50, n=80)),
        "claims": {},
    }
