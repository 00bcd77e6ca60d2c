"""The last validation batch is filled up with its first rows, as a distributed sampler does, and all rows count."""

import torch
from _training import blobs, cut, mlp, plain_step
from torch.nn.functional import cross_entropy

ID, TIER, CATEGORY = "X9", "B", "distributed"
REFERENCE = "pytorch/examples#1063; huggingface/accelerate#952"
EXPECT = ("evaluation",)
WORKERS = 4


def loss(model, batch):
    return cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(8, 16, 4)

    def evaluate(model, loader):
        model.eval()
        hits = []
        with torch.no_grad():
            for x, y in loader:
                missing = -len(y) % WORKERS
                x_even, y_even = torch.cat([x, x[:missing]]), torch.cat([y, y[:missing]])
                shards = zip(x_even.chunk(WORKERS), y_even.chunk(WORKERS), strict=True)
                gathered = torch.cat([model(part).argmax(-1) == labels for part, labels in shards])
                hits.append(gathered if faulty else gathered[: len(y)])
        model.train()
        return {"accuracy": torch.cat(hits).float().mean().item()}

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "train_loader": cut(32, *blobs(seed)),
        "valid_loader": cut(17, *blobs(seed + 50, n=60, spread=0.6)),
        "claims": {"classes": 4},
    }
