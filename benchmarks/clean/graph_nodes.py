"""One graph is the batch; the loss looks at the nodes of the split, messages come from all."""

import torch
import torch.nn.functional as F
from _data import blobs, step_on
from torch import nn


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(10, 24), nn.Linear(24, 3)

    def forward(self, x, adjacency):
        h = F.relu(adjacency @ self.inner(x))
        return adjacency @ self.outer(F.dropout(h, 0.3, self.training))


def loss(model, batch):
    scores = model(batch["x"], batch["adjacency"])
    return F.cross_entropy(scores[batch["mask"]], batch["y"][batch["mask"]])


@torch.no_grad()
def evaluate(model, loader):
    was = model.training
    model.eval()
    right = [(model(b["x"], b["adjacency"]).argmax(-1) == b["y"])[b["mask"]].float() for b in loader]
    model.train(was)
    return {"accuracy": torch.cat(right).mean().item()}


def build(seed: int = 0):
    torch.manual_seed(seed)
    x, y = blobs(n=80)
    links = ((y[:, None] == y) & (torch.rand(80, 80) < 0.15)) | (torch.rand(80, 80) < 0.01)
    adjacency = (links | links.T | torch.eye(80).bool()).float()
    adjacency = adjacency / adjacency.sum(1, keepdim=True)
    train = torch.arange(80) < 50
    model = GCN()
    graph = {"x": x, "adjacency": adjacency, "y": y}
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=5e-4),
        "loss": loss,
        "step": step_on(loss),
        "evaluate": evaluate,
        "train_loader": [{**graph, "mask": train}],
        "valid_loader": [{**graph, "mask": ~train}],
        "claims": {"classes": 3, "couples_batch": True},
    }
