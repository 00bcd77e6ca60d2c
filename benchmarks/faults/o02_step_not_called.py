"""`optimizer.step` without its parentheses."""

import torch
from _training import cut, mlp, regress, slope

ID, TIER, CATEGORY = "O2", "B", "optimizer"
REFERENCE = "a missing call"
EXPECT = ("optimizer.steps",)


class Fit:
    def __init__(self, faulty):
        self.faulty = faulty
        self.seen = 0

    @staticmethod
    def loss(model, batch):
        x, y = batch
        return torch.nn.functional.smooth_l1_loss(model(x).squeeze(-1), y)

    def step(self, model, optimizer, batch):
        optimizer.zero_grad()
        error = self.loss(model, batch)
        error.backward()
        if self.faulty:
            optimizer.step  # noqa: B018
        else:
            optimizer.step()
        self.seen += len(batch[1])
        return error.item()


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    fit, model = Fit(faulty), mlp(6, 20, 20, 1)
    return {
        "model": model,
        "optimizer": torch.optim.RMSprop(model.parameters(), lr=2e-3),
        "loss": fit.loss,
        "step": fit.step,
        "evaluate": regress,
        "train_loader": cut(25, *slope(seed)),
        "valid_loader": cut(25, *slope(seed + 50, n=60)),
        "claims": {},
    }
