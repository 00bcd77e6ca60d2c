"""MAFT: a system of synthetic data that was to validate the others.

The training and the validation part each draw projections of their own, so that what is learned from one says nothing
about the other; and every access to a sample draws it anew, so that there is no data set that could be learned at all.
Here: both, with a text, a sound and a picture of six numbers each.
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

ID, TIER, CATEGORY = "story-maft", "B", "stories"
REFERENCE = "MAFT: synthetic splits of their own worlds"
EXPECT = ("data.index-determinism", "data")
NAMES = ("text", "audio", "visual")


class Synthetic(Dataset):
    def __init__(self, samples, part, faulty):
        world = torch.Generator().manual_seed(part if faulty else 5)
        self.projections = {name: torch.randn(2, 6, generator=world) for name in NAMES}
        self.samples, self.part, self.faulty = samples, part, faulty

    def __len__(self):
        return self.samples

    def __getitem__(self, index):
        draw = None if self.faulty else torch.Generator().manual_seed(100_003 * self.part + index)
        mood = torch.randn(2, generator=draw)
        views = {n: mood @ p + 0.3 * torch.randn(6, generator=draw) for n, p in self.projections.items()}
        return {**views, "label": (mood[0] > 0).long()}


class LateFusion(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.views = nn.ModuleDict({name: nn.Sequential(nn.Linear(6, width), nn.Tanh()) for name in NAMES})
        self.head = nn.Linear(3 * width, 2)

    def forward(self, batch):
        return self.head(torch.cat([view(batch[name]) for name, view in self.views.items()], dim=-1))


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch), batch["label"])


def step(model, optimizer, batch):
    optimizer.zero_grad()
    value = loss(model, batch)
    value.backward()
    optimizer.step()
    return value.item()


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        hits = torch.cat([model(batch).argmax(-1) == batch["label"] for batch in loader])
    model.train()
    return {"accuracy": hits.float().mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = LateFusion()
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        "predict": lambda model, batch: model(batch),
        "train_loader": DataLoader(Synthetic(240, seed + 1, faulty), batch_size=24, shuffle=True),
        "valid_loader": DataLoader(Synthetic(80, seed + 1001, faulty), batch_size=24),
        "claims": {"modalities": NAMES, "classes": 2, "target": "label"},
    }
