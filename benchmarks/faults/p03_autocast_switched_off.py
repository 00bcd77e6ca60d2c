"""The run is said to compute in bfloat16, and the switch of its autocast is off."""

import torch
from _training import cut, pictures
from torch import nn

ID, TIER, CATEGORY = "P3", "B", "precision"
REFERENCE = "Lightning-AI/lightning-thunder#725"
EXPECT = ("model.precision", "model", "learning")


class Patches(nn.Module):
    def __init__(self):
        super().__init__()
        self.cut = nn.Conv2d(1, 24, kernel_size=2, stride=2)
        self.mix = nn.TransformerEncoderLayer(24, 2, 48, dropout=0.0, batch_first=True)
        self.head = nn.Linear(24, 3)

    def forward(self, images):
        return self.head(self.mix(self.cut(images).flatten(2).transpose(1, 2)).mean(dim=1))


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Patches()

    def loss(model, batch):
        images, labels = batch
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not faulty):
            logits = model(images)
        return nn.functional.cross_entropy(logits.float(), labels)

    def step(model, optimizer, batch):
        optimizer.zero_grad(set_to_none=True)
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        return value.item()

    def evaluate(model, loader):
        model.eval()
        right = count = 0
        with torch.inference_mode():
            for images, labels in loader:
                right += int((model(images).argmax(-1) == labels).sum())
                count += len(labels)
        model.train()
        return {"accuracy": right / count}

    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=2e-3),
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        "train_loader": cut(20, *pictures(seed)),
        "valid_loader": cut(20, *pictures(seed + 50, n=70)),
        "claims": {"precision": "bf16", "classes": 3},
    }
