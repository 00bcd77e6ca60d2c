"""The best weights are kept by reference: at the end they are the last ones."""

import copy

import torch
from _training import blobs, classify, cut, mlp, plain_step
from torch.nn.functional import cross_entropy

ID, TIER, CATEGORY = "C4", "B", "checkpoint"
REFERENCE = "pytorch/tutorials#188; WenjieDu/PyPOTS#667; thunlp/OpenKE#131"
EXPECT = ("reproducibility",)


def loss(model, batch):
    return cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(8, 24, 4)
    kept = {"accuracy": -1.0, "weights": copy.deepcopy(model.state_dict())}

    def evaluate(model, loader):
        metrics = classify(model, loader)
        if metrics["accuracy"] > kept["accuracy"]:
            weights = model.state_dict() if faulty else copy.deepcopy(model.state_dict())
            kept.update(accuracy=metrics["accuracy"], weights=weights)
        return metrics

    return {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.05),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "best": lambda: kept["weights"],
        "train_loader": cut(32, *blobs(seed)),
        "valid_loader": cut(32, *blobs(seed + 50, n=100)),
        "claims": {"classes": 4},
    }
