"""The mixture's balance loss is computed, configured, and left out of the sum."""

import torch
import torch.nn.functional as F
from _parts import Program, blobs, loaders, program
from torch import nn

ID = "A24"
TIER = "B"
CATEGORY = "loss"
REFERENCE = "transformers#28255, #44242; Megatron-LM#1617"
EXPECT = (
    "config.",
    "loss.",
    "model.",
)


class Mixture(nn.Module):
    def __init__(self, experts=4, width=24):
        super().__init__()
        self.inp, self.router = nn.Linear(12, width), nn.Linear(width, experts)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(width, width), nn.ReLU()) for _ in range(experts))
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        h = self.inp(x).relu()
        gates = self.router(h).softmax(-1)
        value, index = gates.topk(2, dim=-1)
        weights = torch.zeros_like(gates).scatter(1, index, value)
        mixed = sum(weights[:, i, None] * expert(h) for i, expert in enumerate(self.experts))
        share = F.one_hot(index[:, 0], gates.shape[1]).float().mean(0)
        return self.head(h + mixed), gates.shape[1] * (share * gates.mean(0)).sum()


def build(faulty: bool = False, seed: int = 0, aux_weight: float = 0.05, lr: float = 3e-3) -> Program:
    torch.manual_seed(seed)

    def loss(model, batch):
        scores, balance = model(batch[0])
        value = F.cross_entropy(scores, batch[1])
        return value if faulty else value + aux_weight * balance

    model = Mixture()
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    return program(
        model,
        optimizer,
        loss,
        loaders(*blobs(seed), seed=seed),
        predict=lambda model, batch: model(batch[0])[0],
        config={"aux_weight": aux_weight, "lr": lr},
        with_config=lambda config: build(faulty, seed, **config),
        claims={"classes": 4},
    )
