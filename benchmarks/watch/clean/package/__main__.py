"""A package, run with `python -m package`: worker processes, dictionaries as batches, two learning rates, no_grad."""

import torch
from torch.utils.data import DataLoader

from .data import Wine
from .model import Classifier


def main() -> None:
    torch.manual_seed(5)
    train = DataLoader(Wine("train"), batch_size=16, shuffle=True, num_workers=2)
    valid = DataLoader(Wine("valid"), batch_size=16)
    model = Classifier()
    optimizer = torch.optim.AdamW(
        [{"params": model.body.parameters(), "lr": 3e-3}, {"params": model.head.parameters()}]
    )
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[3, 5], gamma=0.3)
    for epoch in range(6):
        model.train()
        for batch in train:
            out = model(batch)
            out["loss"].backward()
            optimizer.step()
            model.zero_grad()
        scheduler.step()
        model.eval()
        with torch.no_grad():
            scores = [Classifier.accuracy(model(batch)["logits"], batch["y"]) for batch in valid]
        print(f"epoch {epoch} accuracy {sum(scores) / len(scores):.3f}")


if __name__ == "__main__":
    main()
