"""The reconstruction term makes two new layers at every call; no optimizer has ever seen them."""

import torch
import torch.nn.functional as F
from _training import blobs, cut, mlp, plain_step
from torch import nn

ID, TIER, CATEGORY = "M-1", "B", "origins"
REFERENCE = "MAFT: compute_loss builds its projections"
EXPECT = ("model", "learning", "reproducibility")


class Fusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.audio, self.text = nn.Linear(4, 16), nn.Linear(4, 16)
        self.join = mlp(32, 24, 4)
        self.back_audio, self.back_text = nn.Linear(16, 4), nn.Linear(16, 4)

    def encode(self, batch):
        return torch.tanh(self.audio(batch["audio"])), torch.tanh(self.text(batch["text"]))

    def forward(self, batch):
        return self.join(torch.cat(self.encode(batch), dim=-1))


def named(part, n):
    halves = [(x[:, :4], x[:, 4:], y) for x, y in cut(20, *blobs(part, n=n))]
    return [{"audio": audio, "text": text, "label": label} for audio, text, label in halves]


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        hits = torch.cat([model(batch).argmax(-1) == batch["label"] for batch in loader])
    model.train()
    return {"accuracy": hits.float().mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Fusion()

    def loss(model, batch):
        audio, text = model.encode(batch)
        decoders = (nn.Linear(16, 4), nn.Linear(16, 4)) if faulty else (model.back_audio, model.back_text)
        rebuilt = F.mse_loss(decoders[0](audio), batch["audio"]) + F.mse_loss(decoders[1](text), batch["text"])
        return F.cross_entropy(model(batch), batch["label"]) + 0.1 * rebuilt

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "train_loader": named(seed, 240),
        "valid_loader": named(seed + 50, 75),
        "claims": {"modalities": ["audio", "text"], "classes": 4},
    }
