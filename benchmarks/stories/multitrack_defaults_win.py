"""MultiTrack: "multimodal training results, 4,860,691 parameters".

That is the number of the model that sees tracks only. train.py reads the YAML, then lets every command-line value
win that "is not None"; `--enable_multimodal` is a switch, so its default, False, wins over the True of the file.
Here: the same merge over a model with an optional second input.
"""

import argparse

import torch
import yaml
from torch import nn
from torch.utils.data import DataLoader, Dataset

ID, TIER, CATEGORY = "story-multitrack", "B", "stories"
REFERENCE = "E-1"
EXPECT = ("config", "model.parameter-count", "model.modality")
PUBLISHED = """
enable_multimodal: true
hidden: 32
learning_rate: 0.004
"""
PARAMETERS = 954  # of the model that hears


def command_line(arguments=()):
    parser = argparse.ArgumentParser()
    parser.add_argument("--enable_multimodal", action="store_true")
    parser.add_argument("--hidden", type=int, default=None)
    parser.add_argument("--learning_rate", type=float, default=None)
    return vars(parser.parse_args(list(arguments)))


class Editor(nn.Module):
    def __init__(self, hidden, multimodal):
        super().__init__()
        self.track = nn.Linear(8, hidden)
        self.audio = nn.Linear(6, hidden) if multimodal else None
        self.gate = nn.Linear(hidden, 1) if multimodal else None
        self.out = nn.Sequential(nn.ReLU(), nn.Linear(hidden, 12), nn.ReLU(), nn.Linear(12, 1))

    def forward(self, track, audio):
        hidden = self.track(track)
        if self.audio is not None:
            heard = self.audio(audio)
            hidden = hidden + torch.sigmoid(self.gate(hidden)) * heard
        return self.out(hidden).squeeze(-1)


class Windows(Dataset):
    def __init__(self, part, n):
        draw = torch.Generator().manual_seed(part)
        self.track, self.audio = torch.randn(n, 8, generator=draw), torch.randn(n, 6, generator=draw)
        self.cut = self.track[:, 0] - self.track[:, 1] + self.audio[:, :3].sum(1)

    def __len__(self):
        return len(self.cut)

    def __getitem__(self, index):
        return {"track": self.track[index], "audio": self.audio[index], "cut": self.cut[index]}


def predict(model, batch):
    return model(batch["track"], batch["audio"])


def loss(model, batch):
    return nn.functional.mse_loss(predict(model, batch), batch["cut"])


def step(model, optimizer, batch):
    optimizer.zero_grad()
    value = loss(model, batch)
    value.backward()
    optimizer.step()
    return value.item()


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        errors = torch.cat([predict(model, batch) - batch["cut"] for batch in loader])
    model.train()
    return {"mse": errors.square().mean().item()}


def start(written, faulty, seed):
    effective = dict(written)
    for key, value in command_line().items():
        if value is not None and (faulty or value is not False):
            effective[key] = value
    torch.manual_seed(seed)
    model = Editor(effective["hidden"], effective["enable_multimodal"])
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=effective["learning_rate"]),
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        "predict": predict,
        "train_loader": DataLoader(Windows(seed, 300), batch_size=30, shuffle=True),
        "valid_loader": DataLoader(Windows(seed + 500, 100), batch_size=30),
        "config": dict(written),
        "with_config": lambda changed: start(changed, faulty, seed),
        "claims": {"parameters": PARAMETERS, "modalities": ("track", "audio"), "target": "cut"},
    }


def build(faulty: bool = False, seed: int = 0) -> dict:
    return start(yaml.safe_load(PUBLISHED), faulty, seed)
