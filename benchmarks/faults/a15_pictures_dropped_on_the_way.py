"""The pictures arrive under a name that forward does not know, and its default is no picture."""

import torch
import torch.nn.functional as F
from _parts import Program, Rows, pictures, program
from torch import nn
from torch.utils.data import DataLoader, random_split

ID = "A15"
TIER = "B"
CATEGORY = "sequence"
REFERENCE = "axolotl#781"
EXPECT = (
    "sequence.",
    "model.",
    "multimodal.",
)


class Answerer(nn.Module):
    def __init__(self, vocab=12, width=24):
        super().__init__()
        self.vision = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(128, width))
        self.no_picture = nn.Parameter(torch.zeros(width))
        self.words = nn.EmbeddingBag(vocab, width)
        self.head = nn.Sequential(nn.Linear(2 * width, 48), nn.ReLU(), nn.Linear(48, 4))

    def forward(self, question, image=None, **unused):
        seen = self.no_picture.expand(len(question), -1)
        if image is not None:
            seen = seen + self.vision(image)
        return self.head(torch.cat([seen, self.words(question)], dim=1))


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = pictures(seed)
    question = torch.randint(0, 12, (240, 5))
    answer = (y + (question[:, 0] > 5)) % 4
    name = "image"
    if faulty:
        name = "images"

    def loss(model, batch):
        inputs = {key: value for key, value in batch.items() if key != "answer"}
        return F.cross_entropy(model(**inputs), batch["answer"])

    train, valid = random_split(Rows(question=question, answer=answer, **{name: x}), [180, 60])
    model = Answerer()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    data = DataLoader(train, 20, shuffle=True), DataLoader(valid, 30)
    return program(model, optimizer, loss, data, claims={"classes": 4, "modalities": ["question", name]})
