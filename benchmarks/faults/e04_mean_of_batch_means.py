"""The last batch has three rows, and counts as much as the others."""

import torch
from _training import blobs, cut, mlp, plain_step
from torch.nn.functional import cross_entropy

ID, TIER, CATEGORY = "E4", "W", "evaluation"
REFERENCE = "Nota-NetsPresso/netspresso-trainer#360; OptimalScale/LMFlow#347; huggingface/transformers#41898"
EXPECT = ("evaluation",)


def loss(model, batch):
    return cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(8, 24, 4)

    def evaluate(model, loader):
        model.eval()
        hits = []
        with torch.no_grad():
            for x, y in loader:
                hits.append((model(x).argmax(-1) == y).float())
        model.train()
        if faulty:
            return {"accuracy": sum(batch.mean().item() for batch in hits) / len(hits)}
        return {"accuracy": torch.cat(hits).mean().item()}

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "train_loader": cut(30, *blobs(seed)),
        "valid_loader": cut(24, *blobs(seed + 50, n=75, spread=0.6)),
        "claims": {"classes": 4},
    }
