"""All that begins with 'vision' is frozen, and the projector's name does."""

import torch
import torch.nn.functional as F
from _parts import Program, Rows, pictures, program
from torch import nn
from torch.utils.data import DataLoader, random_split

ID = "A19"
TIER = "B"
CATEGORY = "model"
REFERENCE = "LlamaFactory#7872, #6008"
EXPECT = (
    "model.",
    "optimization.",
)


class Describer(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.vision_tower = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten())
        self.vision_projector = nn.Linear(128, width)
        self.words = nn.EmbeddingBag(12, width)
        self.lm_head = nn.Sequential(nn.Linear(width, 48), nn.GELU(), nn.Linear(48, 4))

    def forward(self, image, question):
        return self.lm_head(self.vision_projector(self.vision_tower(image)) + self.words(question))


def loss(model, batch):
    return F.cross_entropy(model(batch["image"], batch["question"]), batch["answer"])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    x, y = pictures(seed)
    question = torch.randint(0, 12, (240, 5))
    model = Describer()
    prefix = "vision_tower"
    if faulty:
        prefix = "vision"
    for name, parameter in model.named_parameters():
        parameter.requires_grad = not name.startswith(prefix)
    optimizer = torch.optim.AdamW(filter(lambda p: p.requires_grad, model.parameters()), lr=3e-3)
    train, valid = random_split(Rows(image=x, question=question, answer=y), [180, 60])
    data = DataLoader(train, 20, shuffle=True), DataLoader(valid, 30)
    claims = {"classes": 4, "frozen": ["vision_tower"], "modalities": ["image"]}
    return program(model, optimizer, loss, data, claims=claims)
