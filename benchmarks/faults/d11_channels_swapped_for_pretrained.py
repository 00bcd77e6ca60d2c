"""A network pretrained on RGB gets BGR."""

import torch
from _parts import Program, accuracy, cross_entropy, loaders, pictures, program
from torch import nn

ID = "D11"
TIER = "W"
CATEGORY = "data"
REFERENCE = "OpenCV reads BGR"
EXPECT = (
    "data.",
    "model.",
)


MEAN, STD = torch.tensor([0.65, 0.45, 0.2]), torch.tensor([0.05, 0.1, 0.15])


def pretrained():
    drawn = torch.Generator().manual_seed(7)
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten())
    net.load_state_dict(
        {
            **net.state_dict(),
            "0.running_mean": MEAN.clone(),
            "0.running_var": STD.square(),
            "0.num_batches_tracked": torch.tensor(5000),
            "1.weight": 0.3 * torch.randn(8, 3, 3, 3, generator=drawn),
        }
    )
    return net


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = pictures(seed)
    x = x * STD[:, None, None] + MEAN[:, None, None]
    if faulty:
        x = x.flip(1)
    model = nn.Sequential(pretrained(), nn.Linear(32, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    data = loaders(x, y, seed=seed, batch=24)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
