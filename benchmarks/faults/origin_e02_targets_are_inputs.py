"""The parameters that an editor is to predict are read from the track that the encoder sees."""

import torch
from _training import generator, plain_step
from torch import nn
from torch.utils.data import DataLoader, Dataset

ID, TIER, CATEGORY = "E-2", "B", "origins"
REFERENCE = "MultiTrack: targets are built from the input of the same step"
EXPECT = ("data", "sequence")


class Tracks(Dataset):
    def __init__(self, part, n, faulty):
        draw = generator(part)
        slow = torch.randn(n, 13, 4, generator=draw).cumsum(1) * 0.3
        self.tracks, self.faulty = slow + 0.05 * torch.randn(n, 13, 4, generator=draw), faulty

    def __len__(self):
        return len(self.tracks)

    def __getitem__(self, index):
        track = self.tracks[index]
        wanted = track[:-1] if self.faulty else track[1:]
        return {"track": track[:-1], "wanted": wanted}


class Editor(nn.Module):
    def __init__(self):
        super().__init__()
        self.read = nn.GRU(4, 32, batch_first=True)
        self.write = nn.Linear(32, 4)

    def forward(self, track):
        return self.write(self.read(track)[0])


def loss(model, batch):
    return nn.functional.smooth_l1_loss(model(batch["track"]), batch["wanted"])


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        errors = torch.cat([(model(batch["track"]) - batch["wanted"]).abs().flatten() for batch in loader])
    model.train()
    return {"mae": errors.mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Editor()
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "predict": lambda model, batch: model(batch["track"]),
        "train_loader": DataLoader(Tracks(seed, 120, faulty), batch_size=16, shuffle=True),
        "valid_loader": DataLoader(Tracks(seed + 50, 40, faulty), batch_size=16),
        "claims": {"target": "wanted"},
    }
