"""Validation pictures are flipped and noised like those of training: two passes give two answers."""

import torch
from _training import classify, pictures, plain_step
from torch import nn
from torch.utils.data import DataLoader, Dataset

ID, TIER, CATEGORY = "E6b", "W", "evaluation"
REFERENCE = "augmentation left on in validation"
EXPECT = ("data.index-determinism", "evaluation", "data")


class Pictures(Dataset):
    def __init__(self, part, n, augment):
        self.images, self.labels = pictures(part, n=n)
        self.augment = augment

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = self.images[index]
        if self.augment:
            image = image.roll(int(torch.randint(-1, 2, ())), dims=-1) + 0.3 * torch.randn_like(image)
        return image, self.labels[index]


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 3))
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": DataLoader(Pictures(seed, 180, augment=True), batch_size=20, shuffle=True),
        "valid_loader": DataLoader(Pictures(seed + 50, 70, augment=faulty), batch_size=20),
        "claims": {"classes": 3},
    }
