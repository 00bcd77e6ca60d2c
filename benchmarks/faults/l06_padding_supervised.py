"""Labels are padded with 0, the loss ignores -100: padding is most of what is learned."""

import torch
import torch.nn.functional as F
from _training import generator, plain_step
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

ID, TIER, CATEGORY = "L6", "B", "loss"
REFERENCE = "EleutherAI/gpt-neo#45"
EXPECT = ("sequence.padding", "sequence.token-supervision", "loss")
PAD, TAGS = 0, 5


def sentences(part, n):
    draw = generator(part)
    lengths = torch.randint(3, 15, (n,), generator=draw).tolist()
    words = [torch.randint(1, 40, (length,), generator=draw) for length in lengths]
    return [(ids, 1 + ids % (TAGS - 1)) for ids in words]


def collate(rows):
    words, tags = zip(*rows, strict=True)
    return {
        "words": pad_sequence(list(words), batch_first=True, padding_value=PAD),
        "tags": pad_sequence(list(tags), batch_first=True, padding_value=PAD),
    }


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(40, 16, padding_idx=PAD)
        self.hidden = nn.Linear(16, 32)
        self.out = nn.Linear(32, TAGS)

    def forward(self, words):
        return self.out(torch.relu(self.hidden(self.embed(words))))


def evaluate(model, loader):
    right = count = 0
    model.eval()
    with torch.no_grad():
        for batch in loader:
            real = batch["tags"] != PAD
            right += (model(batch["words"]).argmax(-1) == batch["tags"])[real].sum().item()
            count += real.sum().item()
    model.train()
    return {"accuracy": right / count}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Tagger()

    def loss(model, batch):
        logits = model(batch["words"]).flatten(0, 1)
        return F.cross_entropy(logits, batch["tags"].flatten(), ignore_index=-100 if faulty else PAD)

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "predict": lambda model, batch: model(batch["words"]),
        "train_loader": DataLoader(sentences(seed, 200), batch_size=20, shuffle=True, collate_fn=collate),
        "valid_loader": DataLoader(sentences(seed + 50, 70), batch_size=20, collate_fn=collate),
        "claims": {"pad_id": PAD, "classes": TAGS},
    }
