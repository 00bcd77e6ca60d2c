"""A sentence classifier attends to padding, and averages over it."""

import torch
import torch.nn.functional as F
from _parts import Program, Rows, lengths, program, tokens
from torch import nn
from torch.utils.data import DataLoader, random_split

ID = "A5"
TIER = "B"
CATEGORY = "sequence"
REFERENCE = "LLM-Workshop#1"
EXPECT = ("sequence.",)


PAD = 0


class Classifier(nn.Module):
    def __init__(self, vocab, width, faulty):
        super().__init__()
        self.faulty = faulty
        self.embed, self.place = nn.Embedding(vocab, width), nn.Embedding(16, width)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(width, 2)

    def forward(self, ids, mask):
        if self.faulty:
            mask = torch.ones_like(mask)
        x = self.embed(ids) + self.place(torch.arange(ids.shape[1]))
        x = self.encoder(x, src_key_padding_mask=mask == 0)
        return self.head((x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))


def loss(model, batch):
    return F.cross_entropy(model(batch["input_ids"], batch["attention_mask"]), batch["label"])


def predict(model, batch):
    return model(batch["input_ids"], batch["attention_mask"])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    ids = tokens(seed)
    label = (ids[:, :6].float().mean(1) > 11).long()
    mask = (torch.arange(16) < lengths(seed, 240, 6, 16)[:, None]).long()
    rows = Rows(input_ids=ids.masked_fill(mask == 0, PAD), attention_mask=mask, label=label)
    train, valid = random_split(rows, [180, 60])
    model = Classifier(20, 24, faulty)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    data = DataLoader(train, 20, shuffle=True), DataLoader(valid, 30)
    claims = {"classes": 2, "pad_id": PAD}
    return program(model, optimizer, loss, data, predict=predict, claims=claims)
