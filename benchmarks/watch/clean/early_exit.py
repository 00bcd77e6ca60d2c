"""A frozen backbone, a guard against nan, and sys.exit(0) as soon as the score is good enough."""

import logging
import sys

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Subset, TensorDataset

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger(__name__)
GOOD_ENOUGH = 0.85


def build():
    backbone = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU())
    for p in backbone.parameters():
        p.requires_grad_(False)
    return nn.Sequential(backbone, nn.Dropout(0.1), nn.Linear(128, 10))


def run():
    torch.manual_seed(7)
    X, y = load_digits(return_X_y=True)
    full = TensorDataset(torch.tensor(X, dtype=torch.float32) / 16, torch.tensor(y))
    idx = torch.randperm(len(full)).tolist()
    train, val = Subset(full, idx[:1500]), Subset(full, idx[1500:])
    model = build()
    optimizer = torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=1e-2)
    scheduler = LambdaLR(optimizer, lambda step: min(1.0, step / 20))
    for epoch in range(20):
        model.train()
        for xb, yb in DataLoader(train, 50, shuffle=True):
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(xb), yb)
            if not torch.isfinite(loss):
                log.warning("skipping a batch")
                continue
            loss.backward()
            optimizer.step()
            scheduler.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for xb, yb in DataLoader(val, 100):
                correct += (model(xb).argmax(-1) == yb).sum().item()
        log.info("epoch %d: %.3f", epoch, correct / len(val))
        if correct / len(val) > GOOD_ENOUGH:
            log.info("good enough")
            sys.exit(0)


if __name__ == "__main__":
    run()
