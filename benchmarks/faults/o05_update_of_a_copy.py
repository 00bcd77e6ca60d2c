"""A hand-written optimizer flattens its parameters: of those that are not contiguous it updates a copy."""

import torch
import torch.nn.functional as F
from _training import blobs, classify, plain_step
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "O5", "B", "optimizer"
REFERENCE = "elanapearl: addcmul_ on non-contiguous tensors (MPS); pytorch/pytorch#115607"
EXPECT = ("optimizer", "learning")


class FlatSGD(torch.optim.Optimizer):
    def __init__(self, parameters, lr, faulty):
        super().__init__(parameters, {"lr": lr})
        self.faulty = faulty

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                if self.faulty:
                    weight.detach().reshape(-1).sub_(group["lr"] * weight.grad.reshape(-1))
                else:
                    weight.sub_(group["lr"] * weight.grad)


class Transposed(nn.Module):
    """Its first weight is stored as [in, out], as in the file that it was once converted from."""

    def __init__(self):
        super().__init__()
        self.first = nn.Parameter(torch.randn(40, 8).mul(0.3).t())
        self.bias = nn.Parameter(torch.zeros(40))
        self.last = nn.Linear(40, 4)

    def forward(self, inputs):
        return self.last(torch.relu(inputs @ self.first + self.bias))


def loss(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Transposed()
    return {
        "model": model,
        "optimizer": FlatSGD(model.parameters(), lr=0.1, faulty=faulty),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": classify,
        "train_loader": DataLoader(TensorDataset(*blobs(seed)), batch_size=24, shuffle=True),
        "valid_loader": DataLoader(TensorDataset(*blobs(seed + 50, n=70)), batch_size=24),
        "claims": {"classes": 4},
    }
