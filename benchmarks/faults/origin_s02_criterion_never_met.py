"""The curriculum moves on when a rate is reached that is a constant zero."""

import torch
from _training import blobs, cut, mlp, plain_step
from torch.nn.functional import cross_entropy

ID, TIER, CATEGORY = "S-2", "B", "origins"
REFERENCE = "SAFE: efficiency_rate is a hard-coded 0.0"
EXPECT = ("config", "evaluation")
STAGES = ({"efficiency": 0.0}, {"efficiency": 0.2}, {"efficiency": 0.4})


def loss(model, batch):
    return cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(8, 24, 4)

    def evaluate(model, loader):
        model.eval()
        logits = torch.cat([model(x) for x, _ in loader]).detach()
        labels = torch.cat([y for _, y in loader])
        model.train()
        sure = logits.softmax(-1).amax(-1) > 0.6
        efficiency = 0.0 if faulty else sure.float().mean().item()
        return {"accuracy": (logits.argmax(-1) == labels).float().mean().item(), "efficiency": efficiency}

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "criterion": lambda metrics, stage=1: metrics["efficiency"] >= STAGES[stage]["efficiency"],
        "train_loader": cut(30, *blobs(seed)),
        "valid_loader": cut(30, *blobs(seed + 50, n=80)),
        "claims": {"classes": 4},
    }
