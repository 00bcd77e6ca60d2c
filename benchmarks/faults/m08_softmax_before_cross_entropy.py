"""The model returns probabilities, the loss wants scores."""

import torch
from _parts import Program, accuracy, cross_entropy, loaders, pictures, program
from torch import nn

ID = "M8"
TIER = "B"
CATEGORY = "loss"
REFERENCE = "TheDeepChecker redundant_softmax"
EXPECT = (
    "loss.",
    "model.",
)


class Net(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3)
        self.fc = nn.Linear(16, 4)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x)).amax(dim=(2, 3))
        x = self.fc(x)
        if self.faulty:
            x = torch.softmax(x, dim=1)
        return x


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Net(faulty)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    data = loaders(*pictures(seed, channels=1), seed=seed)
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, claims={"classes": 4})
