"""ARC ladder: "131 of 131 tests passed, start training immediately".

One day later the first epoch reached a loss of 1e-5 and 100 % accuracy: the decoder was given the sequence that it
had to predict, not the sequence shifted by one. The causal mask lets a position see itself, so it copied.
Here: small grids that are to be mirrored, by an encoder and a causal decoder.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

ID, TIER, CATEGORY = "story-arc", "B", "stories"
REFERENCE = "A-1"
EXPECT = ("sequence",)
COLOURS, START, SIDE = 10, 10, 3


class Grids(Dataset):
    """Grids of colours and their mirror images, both flattened row by row."""

    def __init__(self, part, n):
        draw = torch.Generator().manual_seed(part)
        self.grids = torch.randint(COLOURS, (n, SIDE, SIDE), generator=draw)

    def __len__(self):
        return len(self.grids)

    def __getitem__(self, index):
        grid = self.grids[index]
        return {"src": grid.flatten(), "tgt": grid.flip(1).flatten()}


class Solver(nn.Module):
    def __init__(self, width=32, heads=4):
        super().__init__()
        self.colours = nn.Embedding(COLOURS + 1, width)
        self.places = nn.Embedding(SIDE * SIDE, width)
        self.encoder = nn.TransformerEncoderLayer(width, heads, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.decoder = nn.TransformerDecoderLayer(width, heads, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.head = nn.Linear(width, COLOURS + 1)

    def forward(self, src, decoder_input):
        places = self.places.weight
        memory = self.encoder(self.colours(src) + places)
        future = torch.full((SIDE * SIDE, SIDE * SIDE), float("-inf")).triu(1)
        return self.head(self.decoder(self.colours(decoder_input) + places, memory, tgt_mask=future.to(memory)))


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Solver()

    def predict(model, batch):
        target = batch["tgt"]
        if faulty:
            return model(batch["src"], target)
        started = torch.cat([torch.full_like(target[:, :1], START), target[:, :-1]], dim=1)
        return model(batch["src"], started)

    def loss(model, batch):
        return F.cross_entropy(predict(model, batch).transpose(1, 2), batch["tgt"])

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return value.item()

    @torch.no_grad()
    def evaluate(model, loader):
        model.eval()
        solved = [(predict(model, batch).argmax(-1) == batch["tgt"]) for batch in loader]
        model.train()
        cells = torch.cat(solved).float()
        return {"cell_accuracy": cells.mean().item(), "grid_accuracy": cells.amin(1).mean().item()}

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
        "loss": loss,
        "step": step,
        "evaluate": evaluate,
        "predict": predict,
        "train_loader": DataLoader(Grids(seed, 256), batch_size=32, shuffle=True),
        "valid_loader": DataLoader(Grids(seed + 500, 96), batch_size=32),
        "claims": {"classes": COLOURS + 1, "bos_id": START, "max_norm": 1.0, "target": "tgt"},
    }
