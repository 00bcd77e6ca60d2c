"""A recommender that looks at the user twice and at the item never."""

import torch
import torch.nn.functional as F
from _parts import Program, Rows, program
from torch import nn
from torch.utils.data import DataLoader, random_split

ID = "M6"
TIER = "B"
CATEGORY = "model"
REFERENCE = "torchtest2, gallery; Humbatova et al., wrong input"
EXPECT = (
    "model.unused-inputs",
    "model.",
    "sequence.",
)


class Towers(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.user = nn.Sequential(nn.Linear(8, 24), nn.ReLU())
        self.item = nn.Sequential(nn.Linear(8, 24), nn.ReLU())
        self.score = nn.Linear(48, 1)

    def forward(self, user, item):
        if self.faulty:
            item = user
        return self.score(torch.cat([self.user(user), self.item(item)], dim=-1)).squeeze(-1)


def loss(model, batch):
    return F.mse_loss(model(batch["user"], batch["item"]), batch["rating"])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    user, item = torch.randn(300, 8), torch.randn(300, 8)
    rating = (user[:, 0] + user[:, 1]).tanh() + (item[:, 0] - item[:, 2]).tanh() + 0.1 * torch.randn(300)
    train, valid = random_split(Rows(user=user, item=item, rating=rating), [240, 60])
    model = Towers(faulty)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    data = DataLoader(train, 24, shuffle=True), DataLoader(valid, 60)
    return program(model, optimizer, loss, data, claims={"modalities": ["user", "item"]})
