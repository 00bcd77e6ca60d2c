"""Two workers, simulated in turn: both take the first half of the batch."""

import torch
from _training import blobs, classify, cut, mlp
from torch.nn.functional import cross_entropy

ID, TIER, CATEGORY = "X5", "B", "distributed"
REFERENCE = "huggingface/transformers#11254; huggingface/datasets#5360"
EXPECT = ("gradient", "learning.step-parity")


def loss(model, batch):
    return cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model, world = mlp(8, 32, 4), 2

    def shard(tensor, rank):
        return tensor[0::world] if faulty else tensor[rank::world]

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        rows, total = len(batch[1]), 0.0
        for rank in range(world):
            mine = [shard(tensor, rank) for tensor in batch]
            value = loss(model, mine) * len(mine[1]) / rows
            value.backward()
            total += value.item()
        optimizer.step()
        return total

    return {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        "loss": loss,
        "step": step,
        "evaluate": classify,
        "train_loader": cut(32, *blobs(seed, n=256)),
        "valid_loader": cut(32, *blobs(seed + 50, n=90)),
        "claims": {"classes": 4},
    }
