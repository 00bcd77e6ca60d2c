"""The data set has shifted the targets already; the loss shifts them again."""

import torch
import torch.nn.functional as F
from _training import chains
from torch import nn
from torch.utils.data import DataLoader, Dataset

ID, TIER, CATEGORY = "L2", "B", "loss"
REFERENCE = "Hugging Face models shift the labels inside"
EXPECT = ("sequence.label-alignment",)


class NextToken(Dataset):
    def __init__(self, ids):
        self.ids = ids

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, index):
        return self.ids[index, :-1], self.ids[index, 1:]


class Recurrent(nn.Module):
    def __init__(self, vocab=14, width=32):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.out = nn.Linear(width, vocab)

    def forward(self, ids):
        return self.out(self.lstm(self.embed(ids))[0])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Recurrent()

    def loss(model, batch):
        ids, targets = batch
        logits = model(ids)
        if faulty:
            logits, targets = logits[:, :-1], targets[:, 1:]
        return F.cross_entropy(logits.reshape(-1, 14), targets.reshape(-1))

    def step(model, optimizer, batch):
        optimizer.zero_grad(set_to_none=True)
        value = loss(model, batch)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return float(value)

    @torch.no_grad()
    def evaluate(model, loader):
        model.eval()
        right = count = 0
        for ids, targets in loader:
            right += (model(ids).argmax(-1) == targets).sum().item()
            count += targets.numel()
        model.train()
        return {"accuracy": right / count}

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        "predict": lambda model, batch: model(batch[0]),
        "train_loader": DataLoader(NextToken(chains(seed)), batch_size=16, shuffle=True),
        "valid_loader": DataLoader(NextToken(chains(seed + 50, n=40)), batch_size=16),
        "claims": {"causal": True, "classes": 14, "max_norm": 1.0},
    }
