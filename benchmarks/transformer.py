"""A causal language model of ten million parameters on real text: the English of Python's own licence and docs."""

import inspect
import sys

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from gonogo import Claims, Subject

LENGTH, BYTES = 64, 256


class Text(Dataset[Tensor]):
    """Windows of LENGTH + 1 bytes that do not overlap."""

    def __init__(self, part: str) -> None:
        names = ("argparse", "typing", "inspect", "collections") if part == "train" else ("statistics", "textwrap")
        modules = [__import__(name) for name in names]
        raw = b"".join(inspect.getsource(module).encode() for module in modules)
        data = torch.frombuffer(bytearray(raw), dtype=torch.uint8).long()
        self.windows = data[: len(data) // (LENGTH + 1) * (LENGTH + 1)].view(-1, LENGTH + 1)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> Tensor:
        return self.windows[index]


class Model(nn.Module):
    """Embedding, pre-norm encoder layers under a causal mask, head: (batch, time) to (batch, time, 256)."""

    def __init__(self, width: int = 320, layers: int = 8, heads: int = 5) -> None:
        super().__init__()
        self.tokens = nn.Embedding(BYTES, width)
        self.positions = nn.Parameter(torch.zeros(LENGTH, width).normal_(std=0.02))
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.1, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, BYTES)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of the next byte."""
        hidden = self.tokens(ids) + self.positions[: ids.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(ids.shape[1], dtype=hidden.dtype)
        return self.head(self.layers(hidden, mask=mask, is_causal=True))


def loss(model: nn.Module, batch: Tensor) -> Tensor:
    """Cross-entropy of the next byte."""
    return functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())


def subject() -> Subject:
    """The run."""
    return Subject(
        name="byte language model, 10 M parameters",
        model=Model,
        loss=loss,
        optimizer=lambda model: torch.optim.AdamW(model.parameters(), lr=3e-4),
        splits={
            "train": lambda: DataLoader(Text("train"), batch_size=8, shuffle=True, drop_last=True),
            "valid": lambda: DataLoader(Text("valid"), batch_size=8),
        },
        claims=Claims(classes=BYTES, causal=True, parameters="10.0M"),
    )


if __name__ == "__main__":
    print(sum(parameter.numel() for parameter in Model().parameters()), file=sys.stdout)
