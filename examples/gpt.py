"""Train a small GPT on real English and Python: the source of modules of the standard library, byte by byte.

python examples/gpt.py                 trains it, in half a minute on one CPU thread
gonogo run examples/gpt.py:subject     asks first whether it is ready to be trained
"""

import inspect
import math
from collections.abc import Iterable
from importlib import import_module

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from torch.utils.data import DataLoader, Dataset

from gonogo import Claims, Subject

BYTES, LENGTH = 256, 64
PARTS = {"train": ("argparse", "typing", "inspect"), "valid": ("statistics", "textwrap")}


class Text(Dataset[Tensor]):
    """Windows of LENGTH + 1 bytes that do not overlap; the parts share no file."""

    def __init__(self, part: str) -> None:
        raw = b"".join(inspect.getsource(import_module(name)).encode() for name in PARTS[part])
        data = torch.frombuffer(bytearray(raw), dtype=torch.uint8).long()
        # Licences and separators stand in many files: a window that occurs twice is kept once.
        windows = data[: len(data) // (LENGTH + 1) * (LENGTH + 1)].view(-1, LENGTH + 1)
        self.windows = windows.unique(dim=0)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> Tensor:
        return self.windows[index]


class Block(nn.Module):
    """Pre-norm attention and feed-forward; [batch, time, width] to the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.heads = nn.LayerNorm(width), nn.LayerNorm(width), heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(b, t, d))
        return x + self.feed(self.norm2(x))


class GPT(nn.Module):
    """Tokens [batch, time] to logits [batch, time, 256]; the head is tied to the embedding."""

    def __init__(self, width: int = 96, layers: int = 3, heads: int = 4) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(BYTES, width), nn.Embedding(LENGTH, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, BYTES, bias=False)
        self.head.weight = self.tokens.weight
        for embedding in (self.tokens, self.positions):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        return self.head(self.norm(self.blocks(x)))


def loss(model: nn.Module, rows: Tensor) -> Tensor:
    """Cross-entropy of each next byte."""
    return functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


def optimizer(model: nn.Module) -> AdamW:
    return AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)


def train_loader() -> DataLoader[Tensor]:
    return DataLoader(Text("train"), batch_size=32, shuffle=True)


def valid_loader() -> DataLoader[Tensor]:
    return DataLoader(Text("valid"), batch_size=32)


@torch.no_grad()
def evaluate(model: nn.Module, loader: Iterable[Tensor]) -> dict[str, float]:
    """Bits per byte."""
    model.eval()
    total = count = 0.0
    for rows in loader:
        total, count = total + float(loss(model, rows)) * len(rows), count + len(rows)
    model.train()
    return {"bits_per_byte": total / count / math.log(2)}


def subject() -> Subject:
    """The run, described for gonogo."""
    return Subject(
        name="small GPT on the standard library",
        model=GPT,
        loss=loss,
        optimizer=optimizer,
        splits={"train": train_loader, "valid": valid_loader},
        evaluate=evaluate,
        claims=Claims(causal=True),
    )


def main(epochs: int = 3) -> None:
    torch.manual_seed(0)
    model = GPT()
    own = optimizer(model)
    for epoch in range(epochs):
        for rows in train_loader():
            own.zero_grad()
            loss(model, rows).backward()
            own.step()
        print(f"epoch {epoch + 1}: {evaluate(model, valid_loader())['bits_per_byte']:.3f} bits per byte")


if __name__ == "__main__":
    main()
