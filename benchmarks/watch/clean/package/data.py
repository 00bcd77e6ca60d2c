import numpy as np
import torch
from sklearn.datasets import load_wine
from torch.utils.data import Dataset


class Wine(Dataset):
    def __init__(self, split: str, seed: int = 0) -> None:
        x, y = load_wine(return_X_y=True)
        order = np.random.RandomState(seed).permutation(len(y))
        self.rows = order[:130] if split == "train" else order[130:]
        x = (x - x[order[:130]].mean(0)) / x[order[:130]].std(0)
        self.x, self.y = torch.from_numpy(x).float(), torch.from_numpy(y)
        self.augment = split == "train"

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> dict:
        row = self.rows[i]
        x = self.x[row]
        if self.augment:
            x = x + 0.05 * torch.randn_like(x)
        return {"x": x, "y": self.y[row]}
