"""The projection of the text is built, and the raw text goes on."""

import torch
from _training import cut, mlp, plain_step, regress, slope
from torch import nn

ID, TIER, CATEGORY = "M-5", "W", "origins"
REFERENCE = "MAFT: text_proj is unused on the token path"
EXPECT = ("model.unused-parameters",)


class Projected(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.text_proj = nn.Linear(6, 6)
        self.body = mlp(6, 24, 1)

    def forward(self, x):
        projected = torch.tanh(self.text_proj(x))
        return self.body(x if self.faulty else projected + x).squeeze(-1)


def loss(model, batch):
    return nn.functional.mse_loss(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Projected(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.NAdam(model.parameters(), lr=4e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": regress,
        "train_loader": cut(20, *slope(seed)),
        "valid_loader": cut(20, *slope(seed + 50, n=70)),
        "claims": {},
    }
