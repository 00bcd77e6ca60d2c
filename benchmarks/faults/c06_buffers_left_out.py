"""Only parameters are written: the running statistics of the normalisation are lost."""

import torch
from _training import classify, pictures, plain_step
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "C6", "B", "checkpoint"
REFERENCE = "huggingface/transformers#29903; microsoft/DeepSpeed#5489"
EXPECT = ("reproducibility",)


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 3)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def save(path):
        weights = dict(model.named_parameters()) if faulty else model.state_dict()
        torch.save((weights, optimizer.state_dict()), path)

    def load(path):
        weights, state = torch.load(path)
        model.load_state_dict(weights, strict=False)
        optimizer.load_state_dict(state)

    return {
        "model": model,
        "optimizer": optimizer,
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "save": save,
        "load": load,
        "train_loader": DataLoader(TensorDataset(*pictures(seed)), batch_size=20, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*pictures(seed + 50, n=70)), batch_size=20),
        "claims": {"classes": 3},
    }
