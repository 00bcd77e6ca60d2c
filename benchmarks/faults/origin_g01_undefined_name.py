"""The grouped attention uses a name that is defined nowhere."""

import torch
import torch.nn.functional as F
from _training import chains, next_token, plain_step
from torch import nn

ID, TIER, CATEGORY = "G-1", "B", "origins"
REFERENCE = "Astro: NameError in the forward of the language model"
EXPECT = ("model", "learning")


class GroupedAttention(nn.Module):
    def __init__(self, faulty, width=24, heads=4, groups=2):
        super().__init__()
        self.faulty, self.heads, self.groups, self.size = faulty, heads, groups, width // heads
        self.q, self.kv = nn.Linear(width, width), nn.Linear(width, 2 * groups * self.size)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        batch, time, _ = x.shape
        if self.faulty:
            time = seq_len  # noqa: F821
        q = self.q(x).view(batch, time, self.heads, self.size).transpose(1, 2)
        k, v = self.kv(x).view(batch, time, 2, self.groups, self.size).permute(2, 0, 3, 1, 4)
        repeat = self.heads // self.groups
        k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, time, -1))


class Language(nn.Module):
    def __init__(self, faulty):
        super().__init__()
        self.embed, self.places = nn.Embedding(14, 24), nn.Embedding(16, 24)
        self.attend, self.norm, self.head = GroupedAttention(faulty), nn.LayerNorm(24), nn.Linear(24, 14)

    def forward(self, ids):
        x = self.embed(ids) + self.places(torch.arange(ids.shape[1]))
        return self.head(self.norm(x + self.attend(x)))


def loss(model, ids):
    return F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = Language(faulty)
    return {
        "model": model,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=5e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": next_token,
        "predict": lambda model, ids: model(ids),
        "train_loader": list(chains(seed).split(16)),
        "valid_loader": list(chains(seed + 50, n=40).split(16)),
        "claims": {"causal": True, "classes": 14},
    }
