"""A checkpoint holds the moments of Adam; loading leaves them where they are."""

import torch
from _training import blobs, classify, cut, mlp
from torch.nn.functional import cross_entropy

ID, TIER, CATEGORY = "C1", "B", "checkpoint"
REFERENCE = "luxonis/luxonis-train#384"
EXPECT = ("reproducibility",)


class Run:
    def __init__(self, faulty):
        self.faulty = faulty
        self.model = mlp(8, 32, 32, 4)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=3e-3)

    def loss(self, model, batch):
        return cross_entropy(model(batch[0]), batch[1])

    def step(self, model, optimizer, batch):
        optimizer.zero_grad()
        value = self.loss(model, batch)
        value.backward()
        optimizer.step()
        return value.item()

    def save(self, path):
        torch.save({"weights": self.model.state_dict(), "adam": self.optimizer.state_dict()}, path)

    def load(self, path):
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["weights"])
        if not self.faulty:
            self.optimizer.load_state_dict(state["adam"])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    run = Run(faulty)
    return {
        "model": run.model,
        "optimizer": run.optimizer,
        "loss": run.loss,
        "step": run.step,
        "evaluate": classify,
        "save": run.save,
        "load": run.load,
        "train_loader": cut(30, *blobs(seed)),
        "valid_loader": cut(30, *blobs(seed + 50, n=100)),
        "claims": {"classes": 4},
    }
