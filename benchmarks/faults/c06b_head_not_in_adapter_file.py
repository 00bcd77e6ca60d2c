"""An adapter file without the head that was trained beside the adapters."""

import torch
from _training import blobs, classify, cut, plain_step
from torch import nn

ID, TIER, CATEGORY = "C6b", "B", "checkpoint"
REFERENCE = "kongds/E5-V#19; modules_to_save of adapters"
EXPECT = ("reproducibility",)


class LowRank(nn.Module):
    """A frozen layer and what two thin matrices add to it."""

    def __init__(self, base, rank=4):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_a = nn.Parameter(torch.randn(rank, base.in_features) / rank)
        self.lora_b = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        return self.base(x) + x @ self.lora_a.t() @ self.lora_b.t()


class Tuned(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = LowRank(nn.Linear(8, 32)), LowRank(nn.Linear(32, 32))
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        return self.head(torch.tanh(self.second(torch.tanh(self.first(x)))))


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Tuned()
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=5e-3)

    def save(path):
        written = {name: value for name, value in trained.items() if "lora_" in name or not faulty}
        torch.save({"adapter": written, "optimizer": optimizer.state_dict()}, path)

    def load(path):
        state = torch.load(path)
        model.load_state_dict(state["adapter"], strict=False)
        optimizer.load_state_dict(state["optimizer"])

    return {
        "model": model,
        "optimizer": optimizer,
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "save": save,
        "load": load,
        "train_loader": cut(24, *blobs(seed)),
        "valid_loader": cut(24, *blobs(seed + 50, n=70)),
        "claims": {"frozen": ("first.base", "second.base"), "classes": 4},
    }
