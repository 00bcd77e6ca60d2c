"""A bidirectional LSTM over padded rows: the way back begins in the padding."""

import torch
from _training import generator, plain_step
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader

ID, TIER, CATEGORY = "M-7", "W", "origins"
REFERENCE = "MAFT: encoders without packing"
EXPECT = ("sequence", "model")


class Reader(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.faulty = faulty
        self.embed = nn.Embedding(20, 12, padding_idx=0)
        self.lstm = nn.LSTM(12, 16, batch_first=True, bidirectional=True)
        self.head = nn.Linear(32, 2)

    def forward(self, ids):
        lengths = (ids != 0).sum(1)
        rows = self.embed(ids)
        if self.faulty:
            states = self.lstm(rows)[0]
        else:
            packed = pack_padded_sequence(rows, lengths, batch_first=True, enforce_sorted=False)
            states = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=ids.shape[1])[0]
        last = states[torch.arange(len(ids)), lengths - 1]
        return self.head(torch.cat([last[:, :16], states[:, 0, 16:]], dim=-1))


def rows(part, n):
    draw = generator(part)
    lengths = torch.randint(2, 13, (n,), generator=draw).tolist()
    texts = [torch.randint(1, 20, (length,), generator=draw) for length in lengths]
    return [(text, int(text[0] > text[-1])) for text in texts]


def collate(samples):
    texts, labels = zip(*samples, strict=True)
    return nn.utils.rnn.pad_sequence(list(texts), batch_first=True), torch.tensor(labels)


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        hits = torch.cat([model(ids).argmax(-1) == labels for ids, labels in loader])
    model.train()
    return {"accuracy": hits.float().mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Reader(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "predict": lambda model, batch: model(batch[0]),
        "train_loader": DataLoader(rows(seed, 256), batch_size=32, shuffle=True, collate_fn=collate),
        "valid_loader": DataLoader(rows(seed + 50, 80), batch_size=32, collate_fn=collate),
        "claims": {"pad_id": 0, "classes": 2},
    }
