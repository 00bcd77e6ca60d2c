"""The gradients are clipped while they still carry the scale of the loss scaler."""

import torch
from _training import classify, pictures
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "O7", "B", "optimizer"
REFERENCE = "Lightning-AI/pytorch-lightning#9606; milesial/Pytorch-UNet#468; pytorch/examples#1196"
EXPECT = ("gradient.clip-order",)


def loss(model, batch):
    images, labels = batch
    return nn.functional.cross_entropy(model(images), labels)


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 3))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def step(model, optimizer, batch):
        optimizer.zero_grad(set_to_none=True)
        value = loss(model, batch)
        scaler.scale(value).backward()
        if not faulty:
            scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        scaler.step(optimizer)
        scaler.update()
        return value.item()

    def save(path):
        parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scaler": scaler.state_dict()}
        torch.save(parts, path)

    def load(path):
        parts = torch.load(path)
        model.load_state_dict(parts["model"])
        optimizer.load_state_dict(parts["optimizer"])
        scaler.load_state_dict(parts["scaler"])

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return {
        "model": model,
        "optimizer": optimizer,
        "scaler": scaler,
        "loss": loss,
        "step": step,
        "evaluate": classify,
        "save": save,
        "load": load,
        "train_loader": DataLoader(TensorDataset(*pictures(seed)), batch_size=16, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*pictures(seed + 50, n=60)), batch_size=16),
        "claims": {"max_norm": 5.0, "classes": 3},
    }
