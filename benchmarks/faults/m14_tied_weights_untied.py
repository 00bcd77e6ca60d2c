"""The output layer is a copy of the embedding, where the published count says that they are one."""

import torch
import torch.nn.functional as F
from _parts import Program, loaders, program, tokens
from torch import nn

ID = "M14"
TIER = "B"
CATEGORY = "model"
REFERENCE = "weights tied by copy"
EXPECT = (
    "model.parameter-count",
    "model.",
    "config.",
)


class Writer(nn.Module):
    def __init__(self, vocab, width, faulty):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        nn.init.normal_(self.embed.weight, std=0.3)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocab, bias=False)
        self.head.weight = nn.Parameter(self.embed.weight.detach().clone()) if faulty else self.embed.weight

    def forward(self, ids):
        return self.head(self.rnn(self.embed(ids))[0])


def loss(model, batch):
    (ids,) = batch
    return F.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Writer(20, 32, faulty)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    config = {"vocab_size": 20, "hidden_size": 32, "tie_word_embeddings": True}
    claims = {"parameters": 20 * 32 + 6 * 32 * 32 + 6 * 32, "causal": True}
    return program(model, optimizer, loss, loaders(tokens(seed), seed=seed), config=config, claims=claims)
