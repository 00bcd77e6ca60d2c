"""The best class is looked for along the batch."""

import torch
import torch.nn.functional as F
from _training import chains, plain_step
from torch import nn

ID, TIER, CATEGORY = "E8", "B", "evaluation"
REFERENCE = "trainlint metric rule; argmax over the wrong axis"
EXPECT = ("evaluation",)
VOCAB = 14


class Window(nn.Module):
    """The next token from the last two."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 20)
        self.mix = nn.Conv1d(20, 40, kernel_size=2)
        self.out = nn.Linear(40, VOCAB)

    def forward(self, ids):
        padded = F.pad(self.embed(ids).transpose(1, 2), (1, 0))
        return self.out(torch.relu(self.mix(padded)).transpose(1, 2))


def loss(model, ids):
    return F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Window()

    def evaluate(model, loader):
        model.eval()
        right = count = 0
        with torch.no_grad():
            for ids in loader:
                logits = model(ids[:, :-1]).transpose(1, 2)
                best = logits.argmax(dim=2 if faulty else 1)
                hits = best == ids[:, 1:]
                right, count = right + hits.sum().item(), count + hits.numel()
        model.train()
        return {"accuracy": right / count}

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "predict": lambda model, ids: model(ids[:, :-1]),
        "train_loader": list(chains(seed, length=15).split(16)),
        "valid_loader": list(chains(seed + 50, n=40, length=15).split(16)),
        "claims": {"causal": True, "classes": VOCAB},
    }
