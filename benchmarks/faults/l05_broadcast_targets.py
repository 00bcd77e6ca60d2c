"""Predictions (N, 1) against targets (N,): the loss compares every prediction with every target."""

import warnings

import torch
from _training import mlp, plain_step, regress, slope
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "L5", "B", "loss"
REFERENCE = "PyTorch UserWarning: using a target size that is different to the input size"
EXPECT = ("loss", "model.batch-mixing")


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    criterion = nn.MSELoss()

    def loss(model, batch):
        inputs, targets = batch
        predictions = model(inputs)
        if not faulty:
            predictions = predictions.squeeze(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return criterion(predictions, targets)

    model = mlp(6, 32, 1)
    return {
        "model": model,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": regress,
        "predict": lambda model, batch: model(batch[0]),
        "train_loader": DataLoader(TensorDataset(*slope(seed)), batch_size=24, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*slope(seed + 50, n=80)), batch_size=24),
        "claims": {},
    }
