"""The processor puts the pictures of all samples into one list, as if a single sample had brought them."""

import torch
import torch.nn.functional as F
from _parts import Program, pictures, program
from torch import nn
from torch.utils.data import DataLoader

ID = "D30"
TIER = "B"
CATEGORY = "data"
REFERENCE = "transformers#34204"
EXPECT = (
    "data.batch-rows",
    "model.batch-mixing",
    "data.",
)


class Comparer(nn.Module):
    def __init__(self):
        super().__init__()
        self.eye = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(128, 16))
        self.question = nn.Embedding(2, 16)
        self.head = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))

    def forward(self, pixel_values, question):
        n, k = pixel_values.shape[:2]
        seen = self.eye(pixel_values.flatten(0, 1)).view(n, k, -1)
        return self.head(seen.mean(1) + self.question(question))


def loss(model, batch):
    return F.cross_entropy(model(batch["pixel_values"], batch["question"]), batch["answer"])


def collate(faulty):
    def merge(rows):
        images = [[row["left"], row["right"]] for row in rows]
        if faulty:
            images = [[image for row in images for image in row]]
        return {
            "pixel_values": torch.stack([torch.stack(row) for row in images]),
            "question": torch.tensor([row["question"] for row in rows]),
            "answer": torch.tensor([row["answer"] for row in rows]),
        }

    return merge


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = pictures(seed)
    other = x + 0.3 * torch.randn(x.shape)
    rows = [{"left": x[i], "right": other[i], "question": i % 2, "answer": int(y[i])} for i in range(len(y))]
    train = DataLoader(rows[:180], 20, shuffle=True, collate_fn=collate(faulty))
    data = train, DataLoader(rows[180:], 30, collate_fn=collate(faulty))
    model = Comparer()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return program(model, optimizer, loss, data, claims={"classes": 4})
