"""After the first validation the run goes on without dropout."""

import torch
from _training import blobs, cut, mlp
from torch import nn

ID, TIER, CATEGORY = "E2", "B", "evaluation"
REFERENCE = "wkentaro/pytorch-fcn#57; fartashf/vsepp#4; facebookresearch/clevr-iep#22"
EXPECT = ("evaluation",)


class Loop:
    def __init__(self, faulty):
        self.faulty, self.criterion = faulty, nn.CrossEntropyLoss()

    def loss(self, model, batch):
        return self.criterion(model(batch[0]), batch[1])

    def step(self, model, optimizer, batch):
        optimizer.zero_grad()
        value = self.loss(model, batch)
        value.backward()
        optimizer.step()
        return value.item()

    def evaluate(self, model, loader):
        model.eval()
        with torch.no_grad():
            answers = torch.cat([model(features).argmax(-1) for features, _ in loader])
        if not self.faulty:
            model.train()
        truth = torch.cat([labels for _, labels in loader])
        return {"accuracy": (answers == truth).float().mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    loop, model = Loop(faulty), mlp(8, 48, 48, 4, dropout=0.2)
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
        "loss": loop.loss,
        "step": loop.step,
        "evaluate": loop.evaluate,
        "train_loader": cut(32, *blobs(seed)),
        "valid_loader": cut(32, *blobs(seed + 50, n=90)),
        "claims": {"classes": 4},
    }
