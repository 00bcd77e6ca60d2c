"""A filter on the training rows throws out a whole class."""

import torch
from _parts import Program, accuracy, blobs, cross_entropy, program
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

ID = "D8"
TIER = "W"
CATEGORY = "data"
REFERENCE = "DeepCrime unbalance_train_data"
EXPECT = ("data.",)


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = blobs(seed)
    everything = TensorDataset(x, y)
    keep = [i for i in range(240) if x[i].isfinite().all()]
    if faulty:
        keep = [i for i in keep if y[i] != 3]
    data = DataLoader(Subset(everything, keep), 30, shuffle=True), DataLoader(Subset(everything, range(240, 320)), 40)
    model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
