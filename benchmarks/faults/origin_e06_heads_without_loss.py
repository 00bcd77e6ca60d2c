"""Three heads that the loss has forgotten."""

import torch
from _training import cut, plain_step, slope
from torch import nn

ID, TIER, CATEGORY = "E-6", "W", "origins"
REFERENCE = "MultiTrack: anchor_x, anchor_y and rotation have no loss"
EXPECT = ("model.unused-parameters",)
NAMES = ("scale", "anchor_x", "anchor_y", "rotation")


class Camera(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 32), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(32, 1) for name in NAMES})

    def forward(self, x):
        hidden = self.trunk(x)
        return {name: head(hidden).squeeze(-1) for name, head in self.heads.items()}


def targets(x, y):
    return {"scale": y, "anchor_x": x[:, 0], "anchor_y": x[:, 1], "rotation": x[:, 2] - x[:, 3]}


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        errors = torch.cat([(model(x)["scale"] - wanted["scale"]).abs() for x, wanted in loader])
    model.train()
    return {"scale_mae": errors.mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Camera()
    trained = NAMES[:1] if faulty else NAMES

    def loss(model, batch):
        out = model(batch[0])
        return sum(nn.functional.mse_loss(out[name], batch[1][name]) for name in trained)

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "train_loader": [(x, targets(x, y)) for x, y in cut(24, *slope(seed))],
        "valid_loader": [(x, targets(x, y)) for x, y in cut(24, *slope(seed + 50, n=80))],
        "claims": {},
    }
