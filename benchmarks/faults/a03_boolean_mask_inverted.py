"""A mask of what may be seen is given to a layer that wants a mask of what may not."""

import torch
import torch.nn.functional as F
from _parts import Program, loaders, program, tokens
from torch import nn

ID = "A3"
TIER = "B"
CATEGORY = "sequence"
REFERENCE = "pytorch#170415; LLMs-from-scratch#1061; CLIP4Clip#24"
EXPECT = ("sequence.",)


class Decoder(nn.Module):
    def __init__(self, vocab, width, faulty):
        super().__init__()
        self.faulty = faulty
        self.embed = nn.Embedding(vocab, width)
        self.place = nn.Parameter(0.02 * torch.randn(16, width))
        layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, vocab)

    def forward(self, ids):
        t = ids.shape[1]
        hidden = torch.ones(t, t, dtype=torch.bool).triu(1)
        if self.faulty:
            hidden = ~hidden
        return self.head(self.layers(self.embed(ids) + self.place[:t], mask=hidden))


def loss(model, batch):
    (ids,) = batch
    return F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Decoder(20, 24, faulty)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return program(model, optimizer, loss, loaders(tokens(seed), seed=seed), claims={"causal": True})
