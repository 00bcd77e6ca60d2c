"""What the toys of several padded streams share."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence


def padded(names: Iterable[str]) -> Callable[[list[dict[str, Tensor]]], dict[str, Tensor]]:
    """Collates samples of these streams [t, ...] and a label: each padded behind, with a mask NAME_mask [b, t]."""
    names = tuple(names)

    def collate(samples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        batch = {"label": torch.stack([sample["label"] for sample in samples])}
        for name in names:
            streams = [sample[name] for sample in samples]
            there = [torch.ones(len(stream), dtype=torch.bool) for stream in streams]
            batch[name] = pad_sequence(streams, batch_first=True)
            batch[f"{name}_mask"] = pad_sequence(there, batch_first=True)
        return batch

    return collate


def logits(model: nn.Module, batch: Any) -> Tensor:
    """The model reads the batch itself."""
    return model(batch)


def loss(model: nn.Module, batch: Any) -> Tensor:
    """Cross-entropy of the label."""
    return functional.cross_entropy(model(batch), batch["label"])
