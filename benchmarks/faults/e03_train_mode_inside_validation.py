"""A prediction function that both loops use switches back to training."""

import torch
from _training import pictures, plain_step
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "E3", "B", "evaluation"
REFERENCE = "pliang279/MultiBench#26"
EXPECT = ("evaluation",)


class Normalised(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        self.norm = nn.BatchNorm2d(10)
        self.head = nn.Linear(90, 3)

    def forward(self, images):
        maps = torch.relu(self.norm(self.conv(images)))
        return self.head(nn.functional.max_pool2d(maps, 2).flatten(1))


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Normalised()

    def forward(model, images):
        if faulty:
            model.train()
        return model(images)

    def loss(model, batch):
        return nn.functional.cross_entropy(forward(model, batch[0]), batch[1])

    def evaluate(model, loader):
        model.eval()
        right = count = 0
        with torch.no_grad():
            for images, labels in loader:
                right += (forward(model, images).argmax(-1) == labels).sum().item()
                count += len(labels)
        model.train()
        return {"accuracy": right / count}

    return {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "predict": lambda model, batch: forward(model, batch[0]),
        "train_loader": DataLoader(TensorDataset(*pictures(seed)), batch_size=20, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*pictures(seed + 50, n=70)), batch_size=20),
        "claims": {"classes": 3},
    }
