"""The teacher has one answer for the whole batch, and the comparison stretches it in silence."""

import torch
import torch.nn.functional as F
from _training import blobs, classify, cut, mlp, plain_step

ID, TIER, CATEGORY = "S-7", "W", "origins"
REFERENCE = "SAFE: student and teacher of unequal shapes are expanded"
EXPECT = ("loss", "model.batch-mixing", "learning", "model")


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model, teacher = mlp(8, 24, 4), mlp(8, 24, 4).requires_grad_(False)

    def loss(model, batch):
        inputs, labels = batch
        logits = model(inputs)
        soft = teacher(inputs).softmax(-1)
        if faulty:
            soft = soft.mean(0, keepdim=True)
        match = F.kl_div(logits.log_softmax(-1), soft.expand_as(logits), reduction="batchmean")
        return F.cross_entropy(logits, labels) + 0.3 * match

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": cut(24, *blobs(seed)),
        "valid_loader": cut(24, *blobs(seed + 50, n=80)),
        "claims": {"classes": 4},
    }
