"""The decoder's cross-attention takes keys and values from the decoder."""

import torch
import torch.nn.functional as F
from _parts import Program, Rows, program, tokens
from torch import nn
from torch.utils.data import DataLoader, random_split

ID = "A26"
TIER = "B"
CATEGORY = "sequence"
REFERENCE = "keys and queries from one stream"
EXPECT = (
    "model.",
    "sequence.",
)


class Translator(nn.Module):
    def __init__(self, vocab, width, faulty):
        super().__init__()
        self.faulty = faulty
        self.source, self.target = nn.Embedding(vocab, width), nn.Embedding(vocab, width)
        self.place = nn.Parameter(torch.randn(17, width))
        self.encoder = nn.GRU(width, width, batch_first=True)
        self.decoder = nn.GRU(width, width, batch_first=True)
        self.cross = nn.MultiheadAttention(width, 2, batch_first=True)
        self.head = nn.Linear(2 * width, vocab)

    def forward(self, src, tgt):
        memory, _ = self.encoder(self.source(src) + self.place[: src.shape[1]])
        x, _ = self.decoder(self.target(tgt) + self.place[: tgt.shape[1]])
        keys = memory
        if self.faulty:
            keys = x
        future = torch.ones(x.shape[1], keys.shape[1], dtype=torch.bool).triu(1)
        read, _ = self.cross(x, keys, keys, attn_mask=future, need_weights=False)
        return self.head(torch.cat([x, read], dim=-1))


def loss(model, batch):
    logits = model(batch["src"], batch["tgt"][:, :-1])
    return F.cross_entropy(logits.transpose(1, 2), batch["tgt"][:, 1:])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    src = tokens(seed, length=8)
    tgt = torch.cat([torch.ones(240, 1, dtype=torch.long), (src + 5) % 17 + 3], dim=1)
    train, valid = random_split(Rows(src=src, tgt=tgt), [180, 60])
    model = Translator(20, 24, faulty)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    data = DataLoader(train, 20, shuffle=True), DataLoader(valid, 30)
    return program(model, optimizer, loss, data, claims={"modalities": ["src"]})
