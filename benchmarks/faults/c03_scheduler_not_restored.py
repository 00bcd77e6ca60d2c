"""After a resume the warm-up starts again."""

import torch
from _training import cut, mlp, regress, slope
from torch.nn.functional import mse_loss

ID, TIER, CATEGORY = "C3", "B", "checkpoint"
REFERENCE = "pytorch/torchtitan#1213; huggingface/transformers#1987"
EXPECT = ("reproducibility", "learning.schedule")


def loss(model, batch):
    return mse_loss(model(batch[0]).flatten(), batch[1])


def warm_up_then_root(step):
    return min((step + 1) / 10, (10 / (step + 1)) ** 0.5)


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(6, 32, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, warm_up_then_root)
    saved = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    if faulty:
        del saved["scheduler"]

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        scheduler.step()
        return value.item()

    def save(path):
        torch.save({name: part.state_dict() for name, part in saved.items()}, path)

    def load(path):
        state = torch.load(path)
        for name, part in saved.items():
            part.load_state_dict(state[name])

    return {
        "model": model,
        "optimizer": optimizer,
        "scheduler": scheduler,
        "loss": loss,
        "step": step,
        "evaluate": regress,
        "save": save,
        "load": load,
        "train_loader": cut(24, *slope(seed)),
        "valid_loader": cut(24, *slope(seed + 50, n=50)),
        "claims": {},
    }
