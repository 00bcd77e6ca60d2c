"""Spectra that are missing are left out of their stack: the rows of the batch shift against each other."""

import torch
from _training import generator, plain_step
from torch import nn
from torch.utils.data import DataLoader

ID, TIER, CATEGORY = "G-12", "B", "origins"
REFERENCE = "Astro: the collate function drops missing rows of one modality"
EXPECT = ("data.batch-rows", "data")


def planets(part, n):
    draw = generator(part)
    climate, spectrum = torch.randn(n, 4, generator=draw), torch.randn(n, 5, generator=draw)
    missing = torch.rand(n, generator=draw) < 0.2
    label = climate[:, 0] + torch.where(missing, 0.0, spectrum[:, 0])
    return [(climate[i], None if missing[i] else spectrum[i], label[i]) for i in range(n)]


class Habitable(nn.Module):
    def __init__(self):
        super().__init__()
        self.climate = nn.Linear(4, 16)
        self.spectrum = nn.Linear(5, 16)
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(16, 1))

    def forward(self, climate, spectrum):
        summed = self.climate(climate)
        summed = torch.cat([summed[: len(spectrum)] + self.spectrum(spectrum), summed[len(spectrum) :]])
        return self.head(summed).squeeze(-1)


def loss(model, batch):
    return nn.functional.mse_loss(model(batch["climate"], batch["spectrum"]), batch["label"])


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        errors = torch.cat([model(b["climate"], b["spectrum"]) - b["label"] for b in loader])
    model.train()
    return {"mse": errors.square().mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)

    def collate(rows):
        spectra = [torch.zeros(5) if spectrum is None and not faulty else spectrum for _, spectrum, _ in rows]
        return {
            "climate": torch.stack([climate for climate, _, _ in rows]),
            "spectrum": torch.stack([spectrum for spectrum in spectra if spectrum is not None]),
            "label": torch.stack([label for _, _, label in rows]),
        }

    model = Habitable()
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "predict": lambda model, batch: model(batch["climate"], batch["spectrum"]),
        "train_loader": DataLoader(planets(seed, 240), batch_size=24, shuffle=True, collate_fn=collate),
        "valid_loader": DataLoader(planets(seed + 50, 80), batch_size=24, collate_fn=collate),
        "claims": {"target": "label"},
    }
