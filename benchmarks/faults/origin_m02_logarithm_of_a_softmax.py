"""The divergence takes the logarithm of a softmax that can be zero."""

import torch
import torch.nn.functional as F
from _training import blobs, cut, mlp, plain_step
from torch import nn

ID, TIER, CATEGORY = "M-2", "W", "origins"
REFERENCE = "MAFT: consistency loss with q.log()"
EXPECT = ("model.nonfinite-values", "learning", "loss", "model")


class TwoViews(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = mlp(4, 32, 4), mlp(4, 32, 4)

    def forward(self, inputs):
        return 30.0 * self.left(inputs[:, :4]), self.right(inputs[:, 4:])


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        hits = torch.cat([sum(model(x)).argmax(-1) == y for x, y in loader])
    model.train()
    return {"accuracy": hits.float().mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = TwoViews()

    def log_probabilities(logits):
        return logits.softmax(-1).log() if faulty else logits.log_softmax(-1)

    def loss(model, batch):
        left, right = model(batch[0])
        agreement = (right.softmax(-1) * (right.log_softmax(-1) - log_probabilities(left))).sum(-1).mean()
        return F.cross_entropy(right, batch[1]) + 0.01 * agreement

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "train_loader": cut(24, *blobs(seed, spread=12.0)),
        "valid_loader": cut(24, *blobs(seed + 50, n=80, spread=12.0)),
        "claims": {},
    }
