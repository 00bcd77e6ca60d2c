"""SAFE: "the curriculum is fully integrated", with twelve criteria.

The rate that its stages wait for is written as `0.0  # TODO`, so that it can never end, and "audio loss only (no
retention)" in the training step leaves every knob of the retention without effect. Here: both, on a small classifier
that is to learn a new task and keep an old one.
"""

import torch
import torch.nn.functional as F
from torch import nn

ID, TIER, CATEGORY = "story-safe", "B", "stories"
REFERENCE = "S-2, S-3"
EXPECT = ("config",)
CONFIG = {"lr": 0.004, "retention": {"kl": 0.5, "l2": 0.001}, "stage": {"min_efficiency": 0.4, "min_accuracy": 0.5}}


def task(part, n, classes=4):
    centres = 2.0 * torch.randn(classes, 8, generator=torch.Generator().manual_seed(41))
    draw = torch.Generator().manual_seed(part)
    labels = torch.randint(classes, (n,), generator=draw)
    inputs = centres[labels] + torch.randn(n, 8, generator=draw)
    return list(zip(inputs.split(24), labels.split(24), strict=True))


class StageA:
    def __init__(self, config, faulty, seed):
        torch.manual_seed(seed)
        self.config, self.faulty = config, faulty
        self.model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config["lr"])
        self.old = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4)).requires_grad_(False)

    def loss(self, model, batch):
        inputs, labels = batch
        logits = model(inputs)
        total = F.cross_entropy(logits, labels)
        if self.faulty:
            return total  # audio loss only (no retention)
        knobs = self.config["retention"]
        kept = F.kl_div(logits.log_softmax(-1), self.old(inputs).softmax(-1), reduction="batchmean")
        sizes = sum(weight.square().sum() for weight in model.parameters())
        return total + knobs["kl"] * kept + knobs["l2"] * sizes

    def step(self, model, optimizer, batch):
        optimizer.zero_grad()
        value = self.loss(model, batch)
        value.backward()
        optimizer.step()
        return value.item()

    def evaluate(self, model, loader):
        model.eval()
        with torch.no_grad():
            logits = torch.cat([model(inputs) for inputs, _ in loader])
        model.train()
        right = logits.argmax(-1) == torch.cat([labels for _, labels in loader])
        quick = (logits.softmax(-1).amax(-1) > 0.5).float().mean().item()
        return {"accuracy": right.float().mean().item(), "efficiency_rate": 0.0 if self.faulty else quick}

    def passed(self, metrics):
        """Is the stage over?"""
        stage = self.config["stage"]
        return metrics["accuracy"] >= stage["min_accuracy"] and metrics["efficiency_rate"] >= stage["min_efficiency"]


def start(config, faulty, seed):
    run = StageA(config, faulty, seed)
    return {
        "model": run.model,
        "optimizer": run.optimizer,
        "loss": run.loss,
        "step": run.step,
        "evaluate": run.evaluate,
        "criterion": run.passed,
        "train_loader": task(seed, 240),
        "valid_loader": task(seed + 500, 90),
        "config": config,
        "with_config": lambda changed: start(changed, faulty, seed),
        "claims": {"classes": 4},
    }


def build(faulty: bool = False, seed: int = 0) -> dict:
    return start(CONFIG, faulty, seed)
