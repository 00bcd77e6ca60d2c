"""No functions: constants at the top, one loop over steps, batches drawn by hand, a small GPT on Python's own text."""

import inspect
import math
import textwrap

import torch
import torch.nn as nn
import torch.nn.functional as F

BLOCK, BATCH, STEPS, WARMUP, LR, DIM = 32, 16, 120, 10, 3e-3, 48
torch.manual_seed(1337)

text = inspect.getsource(textwrap)
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
n = int(0.9 * len(data))
train_data, val_data = data[:n], data[n:]


def get_batch(split):
    source = train_data if split == "train" else val_data
    ix = torch.randint(len(source) - BLOCK, (BATCH,))
    return torch.stack([source[i : i + BLOCK] for i in ix]), torch.stack([source[i + 1 : i + BLOCK + 1] for i in ix])


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.qkv, self.proj = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.mlp = nn.Sequential(nn.Linear(DIM, 4 * DIM), nn.GELU(), nn.Linear(4 * DIM, DIM), nn.Dropout(0.1))

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (t.view(B, T, 4, C // 4).transpose(1, 2) for t in self.qkv(self.ln1(x)).split(C, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok, self.pos = nn.Embedding(len(chars), DIM), nn.Embedding(BLOCK, DIM)
        self.blocks = nn.Sequential(Block(), Block())
        self.ln, self.head = nn.LayerNorm(DIM), nn.Linear(DIM, len(chars), bias=False)
        self.head.weight = self.tok.weight
        nn.init.normal_(self.tok.weight, std=0.02)

    def forward(self, idx, targets=None):
        x = self.tok(idx) + self.pos(torch.arange(idx.size(1)))
        logits = self.head(self.ln(self.blocks(x)))
        loss = None if targets is None else F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))
        return logits, loss


model = GPT()
decay = [p for p in model.parameters() if p.dim() >= 2]
no_decay = [p for p in model.parameters() if p.dim() < 2]
groups = [{"params": decay, "weight_decay": 0.1}, {"params": no_decay, "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.95))


def get_lr(it):
    if it < WARMUP:
        return LR * it / WARMUP
    return 0.1 * LR + 0.45 * LR * (1 + math.cos(math.pi * (it - WARMUP) / (STEPS - WARMUP)))


best_val = 1e9
for it in range(STEPS):
    for group in optimizer.param_groups:
        group["lr"] = get_lr(it)
    if it % 40 == 0:
        model.eval()
        with torch.no_grad():
            losses = {s: sum(model(*get_batch(s))[1].item() for _ in range(4)) / 4 for s in ("train", "val")}
        model.train()
        print(it, losses)
        if losses["val"] < best_val:
            best_val = losses["val"]
            checkpoint = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "iter_num": it}
            torch.save(checkpoint, "/dev/null")
    X, Y = get_batch("train")
    logits, loss = model(X, Y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
