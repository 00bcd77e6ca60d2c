"""Streams meet through a few bottleneck tokens and nowhere else (MBT: Nagrani et al. 2021)."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gonogo_recipes.maft.batch import STREAMS
from gonogo_recipes.maft.layers import Block
from gonogo_recipes.maft.settings_fields import ModelSettings

Tokens = dict[str, Float[Tensor, "b l d"]]
Biases = dict[str, Float[Tensor, "b l"]]


class Fusion(nn.Module):
    """Layers in which each stream's block sees its own tokens and the bottlenecks.

    So one layer alone carries nothing from a stream into the tokens of another: it takes two.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        shape = (settings.hidden_dim, settings.num_heads, settings.dropout)
        # Different at the start: equal tokens would stay equal for ever.
        self.bottlenecks = nn.Parameter(0.02 * torch.randn(settings.bottlenecks, settings.hidden_dim))
        self.layers = nn.ModuleList(
            nn.ModuleDict({stream: Block(*shape) for stream in STREAMS}) for _ in range(settings.fusion_layers)
        )
        self.norm = nn.LayerNorm(settings.hidden_dim)

    def forward(
        self, tokens: Tokens, biases: Biases, present: Bool[Tensor, "b 3"]
    ) -> tuple[Tokens, Float[Tensor, "b k d"]]:
        """The tokens of each stream and the bottlenecks, normed.

        Args:
            tokens: Of each stream.
            biases: Of the tokens as keys; -inf where a step is missing, everywhere where the stream is.
            present: In the order of STREAMS.
        """
        shared = self.bottlenecks.expand(len(present), -1, -1)
        for layer in self.layers:
            updates = []
            for stream in STREAMS:
                # Bottlenecks are always seen, so no row is without a key.
                keys = nn.functional.pad(biases[stream], (0, shared.shape[1]))
                both = layer[stream](torch.cat([tokens[stream], shared], 1), keys)  # type: ignore[index]
                own, update = both.split([both.shape[1] - shared.shape[1], shared.shape[1]], 1)
                tokens = {**tokens, stream: own}
                updates.append(update)
            shared = self.merged(torch.stack(updates), present)
        return {stream: self.norm(x) for stream, x in tokens.items()}, self.norm(shared)

    def merged(self, updates: Float[Tensor, "3 b k d"], present: Bool[Tensor, "b 3"]) -> Float[Tensor, "b k d"]:
        """The mean of the streams' bottlenecks over those that are present: an absent one has nothing to say."""
        weights = present.to(updates.dtype)
        weights = weights / weights.sum(-1, keepdim=True).clamp(min=1)
        return torch.einsum("mbkd,bm->bkd", updates, weights)


class ModalityDropout(nn.Module):
    """Which modalities are kept in training: each is dropped at `rate`, never all of them.

    It acts through masks alone. The rate holds for samples with all three; 2/3 is the most at which one remains.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.independent = independent_rate(rate)

    def forward(self, present: Bool[Tensor, "b m"]) -> Bool[Tensor, "b m"]:
        """A subset of what is present, not empty where that is not; all of it in evaluation."""
        if not self.training or self.rate == 0:
            return present
        kept = present & (torch.rand(present.shape, device=present.device) >= self.independent)
        # Where all would be lost, one of those present comes back; which one is as likely as another.
        order = torch.where(present, torch.rand(present.shape, device=present.device), -1.0)
        one = nn.functional.one_hot(order.argmax(-1), present.shape[-1]).bool() & present
        return torch.where(kept.any(-1, keepdim=True), kept, one)


def independent_rate(rate: float) -> float:
    """The rate q of independent draws for three modalities that are dropped at `rate` after one may have come back.

    All three are drawn with q**3, and each of them is then the one that returns in a third: rate = q - q**3 / 3.
    """
    if rate >= 2 / 3:
        return 1.0
    return 2 * math.cos((math.acos(-1.5 * rate) + 4 * math.pi) / 3) if rate else 0.0
