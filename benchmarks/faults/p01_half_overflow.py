"""The scores of an attention are exponentiated in half precision, which ends at 65504."""

import torch
from _training import cut, generator, plain_step
from torch import nn

ID, TIER, CATEGORY = "P1", "B", "precision"
REFERENCE = "BLOOM in fp16; the underflow and overflow detector of Hugging Face transformers"
EXPECT = ("model.nonfinite-values", "model", "learning")


class Pooling(nn.Module):
    """Weighs the readings [batch, time, 4] of a sensor by what they say, then regresses on their mean."""

    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.score = nn.Linear(4, 1)
        self.body = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 1))
        nn.init.constant_(self.score.weight, 0.4)

    def forward(self, readings):
        scores = self.score(readings)
        if self.faulty:
            scores = scores.half()
        weights = scores.exp() / scores.exp().sum(dim=1, keepdim=True)
        return self.body((weights.float() * readings).sum(dim=1)).squeeze(-1)


def readings(part, n):
    draw = generator(part)
    values = 8.0 * torch.rand(n, 6, 4, generator=draw)
    return values, values.amax(dim=1)[:, 0] / 4 - values.mean(dim=(1, 2)) / 4


def loss(model, batch):
    return nn.functional.mse_loss(model(batch[0]), batch[1])


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        errors = torch.cat([model(x) - y for x, y in loader])
    model.train()
    return {"rmse": errors.square().mean().sqrt().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Pooling(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "train_loader": cut(32, *readings(seed, 256)),
        "valid_loader": cut(32, *readings(seed + 50, 80)),
        "claims": {},
    }
