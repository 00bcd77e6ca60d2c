"""The auxiliary term is added as a number."""

import torch
import torch.nn.functional as F
from _training import cut, pictures
from torch import nn

ID, TIER, CATEGORY = "L9", "W", "loss"
REFERENCE = "a loss term that is detached, or has weight 0"
EXPECT = ("model.unused-parameters", "learning", "loss")


class Autoencoding(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU())
        self.decoder = nn.Linear(24, 64)
        self.classes = nn.Linear(24, 3)

    def forward(self, images):
        code = self.encoder(images)
        return {"logits": self.classes(code), "images": self.decoder(code).view_as(images)}


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        hits = [(model(images)["logits"].argmax(-1) == labels).float() for images, labels in loader]
    model.train()
    return {"accuracy": torch.cat(hits).mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Autoencoding()

    def loss(model, batch):
        images, labels = batch
        out = model(images)
        rebuilt = F.mse_loss(out["images"], images)
        return F.cross_entropy(out["logits"], labels) + 0.5 * (rebuilt.item() if faulty else rebuilt)

    def step(model, optimizer, batch):
        value = loss(model, batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        "predict": lambda model, batch: model(batch[0])["logits"],
        "train_loader": cut(32, *pictures(seed)),
        "valid_loader": cut(32, *pictures(seed + 50, n=60)),
        "claims": {"classes": 3},
    }
