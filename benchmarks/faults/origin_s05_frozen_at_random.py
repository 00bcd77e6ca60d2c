"""Freezing "everything but the adapters" freezes a cross-attention that was never trained."""

import torch
from _training import generator, plain_step
from torch import nn
from torch.utils.data import DataLoader

ID, TIER, CATEGORY = "S-5", "W", "origins"
REFERENCE = "SAFE: get_peft_model freezes a randomly initialised fusion"
EXPECT = ("model", "learning")


class Answer(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.backbone = nn.Linear(6, width).requires_grad_(False)
        self.audio = nn.Linear(5, width)
        self.fusion = nn.MultiheadAttention(width, 2, batch_first=True)
        self.head = nn.Linear(width, 3)

    def forward(self, picture, audio):
        asked = self.backbone(picture)
        heard, _ = self.fusion(asked, *(2 * (torch.tanh(self.audio(audio)),)))
        return self.head((asked + heard).mean(1))


def clips(part, n):
    draw = generator(part)
    audio = torch.randn(n, 4, 5, generator=draw)
    labels = audio[:, :, 0].mean(1).mul(2).round().clamp(-1, 1).long() + 1
    pictures = torch.randn(n, 3, 6, generator=draw)
    return [{"picture": p, "audio": a, "label": y} for p, a, y in zip(pictures, audio, labels, strict=True)]


def forward(model, batch):
    return model(batch["picture"], batch["audio"])


def loss(model, batch):
    return nn.functional.cross_entropy(forward(model, batch), batch["label"])


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        hits = torch.cat([forward(model, batch).argmax(-1) == batch["label"] for batch in loader])
    model.train()
    return {"accuracy": hits.float().mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Answer()
    if faulty:
        model.fusion.requires_grad_(False)
    return {
        "model": model,
        "optimizer": torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "predict": forward,
        "train_loader": DataLoader(clips(seed, 240), batch_size=24, shuffle=True),
        "valid_loader": DataLoader(clips(seed + 50, 80), batch_size=24),
        "claims": {"frozen": ["backbone"], "modalities": ["picture", "audio"], "classes": 3},
    }
