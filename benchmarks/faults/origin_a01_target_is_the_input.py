"""Teacher forcing without the shift: the decoder is given the token that it is to predict."""

import torch
import torch.nn.functional as F
from _training import causal_mask, generator, plain_step
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ID, TIER, CATEGORY = "A-1", "B", "origins"
REFERENCE = "ARC ladder: decoder input equals the loss target"
EXPECT = ("sequence",)
BEGIN, VOCAB = 10, 11


class Translator(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.source, self.target = nn.Embedding(VOCAB, width), nn.Embedding(VOCAB, width)
        self.places = nn.Embedding(12, width)
        self.core = nn.Transformer(width, 2, 1, 1, 2 * width, dropout=0.0, batch_first=True)
        self.head = nn.Linear(width, VOCAB)

    def forward(self, src, tgt):
        places = self.places(torch.arange(src.shape[1]))
        mask = causal_mask(tgt.shape[1])
        return self.head(self.core(self.source(src) + places, self.target(tgt) + places, tgt_mask=mask))


def reversed_digits(part, n):
    source = torch.randint(10, (n, 8), generator=generator(part))
    return TensorDataset(source, source.flip(1))


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Translator()

    def decoder_input(target):
        if faulty:
            return target
        return torch.cat([torch.full_like(target[:, :1], BEGIN), target[:, :-1]], dim=1)

    def predict(model, batch):
        return model(batch[0], decoder_input(batch[1]))

    def loss(model, batch):
        return F.cross_entropy(predict(model, batch).flatten(0, 1), batch[1].flatten())

    def evaluate(model, loader):
        model.eval()
        with torch.no_grad():
            hits = torch.cat([predict(model, batch).argmax(-1) == batch[1] for batch in loader])
        model.train()
        return {"accuracy": hits.float().mean().item()}

    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "predict": predict,
        "train_loader": DataLoader(reversed_digits(seed, 256), batch_size=32, shuffle=True),
        "valid_loader": DataLoader(reversed_digits(seed + 50, 80), batch_size=32),
        "claims": {"classes": VOCAB, "bos_id": BEGIN},
    }
