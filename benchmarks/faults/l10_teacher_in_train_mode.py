"""Distillation from a teacher whose dropout is still on."""

import torch
import torch.nn.functional as F
from _training import blobs, cut, mlp
from torch import nn

ID, TIER, CATEGORY = "L10", "B", "loss"
REFERENCE = "teacher.train() during knowledge distillation"
EXPECT = ("loss", "model", "evaluation.mode-restored")


def trained_teacher():
    with torch.random.fork_rng():
        torch.manual_seed(99)
        teacher = mlp(8, 32, 4, dropout=0.3)
        optimizer = torch.optim.Adam(teacher.parameters(), lr=0.02)
        inputs, labels = blobs(900)
        for _ in range(40):
            optimizer.zero_grad()
            F.cross_entropy(teacher(inputs), labels).backward()
            optimizer.step()
    return teacher.requires_grad_(False)


class Distiller(nn.Module):
    """The student, with its teacher beside it."""

    def __init__(self, faulty):
        super().__init__()
        self.student, self.teacher, self.faulty = mlp(8, 12, 4), trained_teacher(), faulty
        self.train()

    def train(self, mode=True):
        super().train(mode)
        if not self.faulty:
            self.teacher.eval()
        return self

    def forward(self, inputs):
        return self.student(inputs)


def loss(model, batch):
    inputs, labels = batch
    with torch.no_grad():
        soft = F.softmax(model.teacher(inputs) / 2.0, dim=-1)
    logits = model(inputs)
    match = F.kl_div(F.log_softmax(logits / 2.0, dim=-1), soft, reduction="batchmean") * 4.0
    return 0.7 * match + 0.3 * F.cross_entropy(logits, labels)


def step(model, optimizer, batch):
    optimizer.zero_grad()
    value = loss(model, batch)
    value.backward()
    optimizer.step()
    return value.item()


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        hits = torch.cat([model(inputs).argmax(-1) == labels for inputs, labels in loader])
    model.train()
    return {"accuracy": hits.float().mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Distiller(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.student.parameters(), lr=1e-2),
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        "train_loader": cut(30, *blobs(seed)),
        "valid_loader": cut(30, *blobs(seed + 50, n=70)),
        "claims": {"frozen": ["teacher"], "classes": 4},
    }
