"""The head is exchanged for the new number of classes after the optimizer was made."""

import torch
import torch.nn.functional as F
from _training import blobs, classify, cut, plain_step
from torch import nn

ID, TIER, CATEGORY = "O4", "B", "optimizer"
REFERENCE = "huggingface/accelerate#2665; microsoft/DeepSpeed#6770"
EXPECT = ("model.late-parameters", "model.unused-parameters", "optimizer")


class Published(nn.Module):
    """A network of a thousand classes."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(8, 48), nn.GELU(), nn.LayerNorm(48))
        self.classifier = nn.Linear(48, 1000)

    def forward(self, inputs):
        return self.classifier(self.features(inputs))


def loss(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Published()
    early = list(model.parameters())
    model.classifier = nn.Linear(48, 4)
    optimizer = torch.optim.AdamW(early if faulty else model.parameters(), lr=4e-3)
    return {
        "model": model,
        "optimizer": optimizer,
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": cut(32, *blobs(seed)),
        "valid_loader": cut(32, *blobs(seed + 50, n=90)),
        "claims": {"classes": 4},
    }
