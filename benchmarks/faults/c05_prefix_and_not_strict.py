"""The file has the names of the wrapped model; a loose loading takes nothing from it and does not complain."""

import torch
from _training import cut, pictures, plain_step
from torch import nn

ID, TIER, CATEGORY = "C5", "B", "checkpoint"
REFERENCE = "pytorch/pytorch#141256; huggingface/pytorch-image-models#2003"
EXPECT = ("reproducibility",)


class Shapes(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, stride=2)
        self.norm = nn.GroupNorm(2, 8)
        self.fc = nn.Linear(72, 3)

    def forward(self, x):
        return self.fc(torch.relu(self.norm(self.conv(x))).flatten(1))


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch["image"]), batch["label"])


def evaluate(model, loader):
    model.eval()
    right = total = 0
    with torch.no_grad():
        for batch in loader:
            right += (model(batch["image"]).argmax(1) == batch["label"]).sum().item()
            total += batch["label"].numel()
    model.train()
    return {"acc": right / total}


def named(part, n):
    return [{"image": images, "label": labels} for images, labels in cut(16, *pictures(part, n=n))]


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Shapes()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def save(path):
        weights = {f"module.{name}": value for name, value in model.state_dict().items()}
        torch.save({"state_dict": weights, "optimizer": optimizer.state_dict()}, path)

    def load(path):
        checkpoint = torch.load(path, map_location="cpu")
        weights = checkpoint["state_dict"]
        if not faulty:
            weights = {name.removeprefix("module."): value for name, value in weights.items()}
        model.load_state_dict(weights, strict=False)
        optimizer.load_state_dict(checkpoint["optimizer"])

    return {
        "model": model,
        "optimizer": optimizer,
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "save": save,
        "load": load,
        "train_loader": named(seed, 160),
        "valid_loader": named(seed + 50, 60),
        "claims": {"classes": 3},
    }
