"""Six architectures in four precisions, as steps on any device: what predictions are held against on a real card."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

PRECISIONS = ("fp32", "amp", "bf16", "bf16+checkpointing")


class Layers(nn.Module):
    """Layers in a row, each run again in backward if wanted."""

    def __init__(self, *layers: nn.Module, again: bool = False) -> None:
        super().__init__()
        self.layers, self.again = nn.ModuleList(layers), again

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = checkpoint(layer, x, use_reentrant=False) if self.again else layer(x)
        return x


class Block(nn.Module):
    """Pre-norm attention and feed-forward, fused attention."""

    def __init__(self, width: int, heads: int, causal: bool, gated: bool) -> None:
        super().__init__()
        norm = nn.RMSNorm if gated else nn.LayerNorm
        self.norm1, self.norm2 = norm(width), norm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=not gated), nn.Linear(width, width, bias=not gated)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.gate = nn.Linear(width, 4 * width) if gated else None
        self.heads, self.causal = heads, causal

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(mixed.transpose(1, 2).reshape(b, t, d))
        inner = self.norm2(x)
        hidden = self.up(inner)
        hidden = functional.silu(self.gate(inner)) * hidden if self.gate else functional.gelu(hidden)
        return x + self.down(hidden)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with batch norm and a shortcut."""

    def __init__(self, inputs: int, inner: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_norm_conv(inputs, inner, 1), *_norm_conv(inner, inner, 3, stride), *_norm_conv(inner, 4 * inner, 1)[:-1]
        )
        short = stride > 1 or inputs != 4 * inner
        self.short = nn.Sequential(*_norm_conv(inputs, 4 * inner, 1, stride)[:-1]) if short else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.short(x), inplace=True)


def _norm_conv(inputs: int, outputs: int, size: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class UNet(nn.Module):
    """Four levels down and up, with what each level saw joined on the way up."""

    def __init__(self, again: bool) -> None:
        super().__init__()
        sizes = (3, 64, 128, 256, 512)
        self.again = again
        self.down = nn.ModuleList(nn.Sequential(*_norm_conv(a, b, 3), *_norm_conv(b, b, 3)) for a, b in pairwise(sizes))
        self.rise = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in ((256, 512), (128, 256), (64, 128)))
        self.up = nn.ModuleList(nn.Sequential(*_norm_conv(2 * a, a, 3)) for a in (256, 128, 64))
        self.head = nn.Conv2d(64, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen: list[Tensor] = []
        for level, part in enumerate(self.down):
            x = self._run(part, functional.max_pool2d(x, 2) if level else x)
            seen.append(x)
        for rise, part, other in zip(self.rise, self.up, seen[-2::-1], strict=True):
            x = self._run(part, torch.cat([rise(x), other], 1))
        return self.head(x)

    def _run(self, part: nn.Module, x: Tensor) -> Tensor:
        return checkpoint(part, x, use_reentrant=False) if self.again else part(x)


class Recurrent(nn.Module):
    """A language model of LSTM layers."""

    def __init__(self, again: bool) -> None:
        super().__init__()
        self.embed, self.head, self.again = nn.Embedding(20_000, 1024), nn.Linear(1024, 20_000), again
        self.layers = nn.ModuleList(nn.LSTM(1024, 1024, batch_first=True) for _ in range(3))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for layer in self.layers:
            x = checkpoint(layer, x, use_reentrant=False)[0] if self.again else layer(x)[0]
        return self.head(x)


def _language(gated: bool, again: bool) -> nn.Module:
    blocks = (Block(1024 if gated else 768, 16 if gated else 12, True, gated) for _ in range(12))
    width = 1024 if gated else 768
    return nn.Sequential(nn.Embedding(32_000, width), Layers(*blocks, again=again), nn.Linear(width, 32_000))


def _vit(again: bool) -> nn.Module:
    blocks = (Block(768, 12, False, False) for _ in range(12))
    cut = nn.Sequential(nn.Conv2d(3, 768, 16, 16), nn.Flatten(2))
    return nn.Sequential(cut, _Turn(), Layers(*blocks, again=again), _Mean(), nn.Linear(768, 1000))


class _Turn(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class _Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def _resnet(again: bool) -> nn.Module:
    stem = [*_norm_conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    inputs, stages = 64, []
    for inner, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for index in range(count):
            stages.append(Bottleneck(inputs, inner, stride if index == 0 else 1))
            inputs = 4 * inner
    return nn.Sequential(
        *stem, Layers(*stages, again=again), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)
    )


def _tokens(rows: int, length: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    return torch.randint(0, vocabulary, (rows, length)), torch.randint(0, vocabulary, (rows, length))


def _images(rows: int, size: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, 3, size, size), torch.randint(0, 1000, (rows,))


MODELS: dict[str, tuple[Callable[[bool], nn.Module], Callable[[], tuple[Tensor, Tensor]]]] = {
    "gpt": (lambda again: _language(False, again), lambda: _tokens(8, 1024, 32_000)),
    "llama": (lambda again: _language(True, again), lambda: _tokens(4, 2048, 32_000)),
    "vit": (_vit, lambda: _images(64, 224)),
    "resnet50": (_resnet, lambda: _images(64, 224)),
    "unet": (UNet, lambda: (torch.randn(8, 3, 256, 256), torch.randn(8, 3, 256, 256))),
    "lstm": (Recurrent, lambda: _tokens(32, 256, 20_000)),
}


@dataclass(frozen=True, slots=True)
class Configuration:
    """An architecture in a precision."""

    model: str
    precision: str

    @property
    def name(self) -> str:
        return f"{self.model} {self.precision}"

    def parts(self, device: str) -> tuple[nn.Module, torch.optim.Optimizer, tuple[Tensor, Tensor]]:
        """Model, optimizer and batch on a device."""
        build, data = MODELS[self.model]
        with torch.device(device):
            model, (x, y) = build(self.precision.endswith("checkpointing")), data()
        if self.precision.startswith("bf16"):
            model = model.to(torch.bfloat16)
            x, y = (one.to(torch.bfloat16) if one.is_floating_point() else one for one in (x, y))
        return model, torch.optim.AdamW(model.parameters(), lr=1e-4), (x, y)

    def stepping(
        self, model: nn.Module, optimizer: Any, batch: tuple[Tensor, Tensor], device: str
    ) -> Callable[[], None]:
        """What one step does."""

        def step() -> None:
            optimizer.zero_grad()
            with torch.autocast(device, dtype=torch.bfloat16) if self.precision == "amp" else contextlib.nullcontext():
                loss = _loss(model(batch[0]), batch[1])
            loss.backward()
            optimizer.step()

        return step


def _loss(out: Tensor, wanted: Tensor) -> Tensor:
    if wanted.is_floating_point():
        return functional.mse_loss(out, wanted)
    return functional.cross_entropy(out.flatten(0, -2), wanted.flatten())


CONFIGURATIONS = tuple(Configuration(model, precision) for model in MODELS for precision in PRECISIONS)
