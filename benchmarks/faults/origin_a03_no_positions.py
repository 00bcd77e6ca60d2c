"""`rope_theta` is accepted and documented; no position enters the model."""

import torch
import torch.nn.functional as F
from _training import generator, plain_step
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "A-3", "W", "origins"
REFERENCE = "ARC ladder: an argument without effect"
EXPECT = ("config", "sequence", "model")


class Encoder(nn.Module):
    def __init__(self, rope_theta, faulty, width=24):
        super().__init__()
        rates = rope_theta ** (-torch.arange(0, width, 2) / width)
        angles = torch.arange(10)[:, None] * rates
        self.faulty = faulty
        self.register_buffer("table", torch.cat([angles.sin(), angles.cos()], dim=1))
        self.embed = nn.Embedding(12, width)
        self.block = nn.TransformerEncoderLayer(width, 2, 48, dropout=0.0, batch_first=True)
        self.head = nn.Linear(width, 2)

    def forward(self, ids):
        hidden = self.embed(ids)
        if not self.faulty:
            hidden = hidden + self.table
        return self.head(self.block(hidden).mean(1))


def halves(part, n):
    """Is the first half of the row larger than the second?"""
    ids = torch.randint(12, (n, 10), generator=generator(part))
    return TensorDataset(ids, (ids[:, :5].sum(1) > ids[:, 5:].sum(1)).long())


def start(config, faulty, seed):
    torch.manual_seed(seed)
    model = Encoder(config["rope_theta"], faulty)

    def loss(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])

    def evaluate(model, loader):
        model.eval()
        with torch.no_grad():
            hits = torch.cat([model(ids).argmax(-1) == labels for ids, labels in loader])
        model.train()
        return {"accuracy": hits.float().mean().item()}

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=config["lr"]),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "train_loader": DataLoader(halves(seed, 320), batch_size=32, shuffle=True),
        "valid_loader": DataLoader(halves(seed + 50, 100), batch_size=32),
        "config": dict(config),
        "with_config": lambda changed: start(changed, faulty, seed),
        "claims": {"classes": 2},
    }


def build(faulty: bool = False, seed: int = 0) -> dict:
    return start({"rope_theta": 100.0, "lr": 0.005}, faulty, seed)
