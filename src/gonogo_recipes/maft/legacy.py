"""The origin's architecture: a *proxy of the origin*, for its parameter counts and as a bad twin. Do not train it.

What it does wrong is kept on purpose: its LSTMs run over the padding, positions count along the concatenation of the
streams, modalities are dropped independently, so sometimes all, masks multiply instead of choosing, quality is added
to the tokens instead of the attention, and every token sees every other beside the "bottlenecks".
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gonogo_recipes.maft.batch import STREAMS, Batch, mask_key
from gonogo_recipes.maft.settings_fields import ModelSettings

Outputs = dict[str, Tensor]


class Legacy(nn.Module):
    """The origin's MAFT, behind the batch and the outputs of this recipe."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        dim, classes = settings.hidden_dim, settings.num_classes
        self.rate = settings.modality_dropout
        self.encoders = nn.ModuleDict(
            {
                "text": _TextEncoder(settings),
                "audio": _RecurrentEncoder(settings.audio_dim, settings),
                "visual": _RecurrentEncoder(settings.visual_dim, settings),
            }
        )
        self.quality = nn.ModuleDict({stream: _quality_estimator(dim) for stream in STREAMS})
        self.fusion = _Fusion(settings)
        self.classification = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(dim, classes))
        self.regression = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(dim, 1))
        self.log_temperature = nn.Parameter(torch.tensor(math.log(settings.temperature)))
        self.streams = nn.ModuleDict({stream: nn.Linear(dim, classes) for stream in STREAMS})

    def forward(self, batch: Batch) -> Outputs:
        """As Maft.forward; the reconstruction of every stream is the fused vector itself."""
        masks = {stream: batch[mask_key(stream)] for stream in STREAMS}
        tokens = {stream: self.encoders[stream](batch[stream]) for stream in STREAMS}
        target = torch.stack([_mean(tokens[stream], masks[stream]) for stream in STREAMS], 1).detach()
        given = torch.stack([masks[stream].any(-1) for stream in STREAMS], -1)
        dropped = given & self._drops(given)
        for place, stream in enumerate(STREAMS):
            keep = ~dropped[:, [place]]
            tokens[stream] = tokens[stream] * keep.unsqueeze(-1)
            masks[stream] = masks[stream] & keep
        scores = {stream: self.quality[stream](tokens[stream]) * masks[stream].unsqueeze(-1) for stream in STREAMS}
        fused = self.fusion(tokens, scores, masks)
        means = torch.stack([_mean(tokens[stream], masks[stream]) for stream in STREAMS], 1)
        return {
            "logits": self.classification(fused) / self.log_temperature.exp(),
            "regression": self.regression(fused),
            **{f"logits_{name}": self.streams[name](means[:, place]) for place, name in enumerate(STREAMS)},
            "embeddings": means,
            "reconstruction": fused.unsqueeze(1).expand_as(target),
            "target": target,
            "present": given & ~dropped,
            "dropped": dropped,
        }

    def _drops(self, given: Bool[Tensor, "b 3"]) -> Bool[Tensor, "b 3"]:
        draws = torch.rand(given.shape, device=given.device) if self.training else torch.ones_like(given).float()
        return draws < self.rate


class _TextEncoder(nn.Module):
    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.embedding = nn.Embedding(settings.vocab_size, settings.hidden_dim, padding_idx=0)
        self.dropout = nn.Dropout(settings.dropout)
        self.project = nn.Linear(settings.hidden_dim, settings.hidden_dim)
        self.embedding.requires_grad_(not settings.freeze_text)

    def forward(self, ids: Tensor) -> Float[Tensor, "b l d"]:
        return self.project(self.dropout(self.embedding(ids)))


class _RecurrentEncoder(nn.Module):
    def __init__(self, width: int, settings: ModelSettings) -> None:
        super().__init__()
        dim, dropout = settings.hidden_dim, settings.dropout
        self.project, self.dropout = nn.Linear(width, dim), nn.Dropout(dropout)
        self.lstm = nn.LSTM(dim, dim // 2, 2, batch_first=True, bidirectional=True, dropout=dropout)

    def forward(self, x: Float[Tensor, "b l w"]) -> Float[Tensor, "b l d"]:
        return self.lstm(self.dropout(self.project(x.to(self.project.weight.dtype))))[0]


class _Fusion(nn.Module):
    """Full self-attention over bottlenecks and all tokens; a gate over the bottlenecks gives the fused vector."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        dim = settings.hidden_dim
        self.bottlenecks = nn.Parameter(torch.randn(settings.bottlenecks, dim))
        self.modality = nn.Embedding(len(STREAMS), dim)
        self.quality = nn.Linear(1, dim, bias=False)
        layer = nn.TransformerEncoderLayer(
            dim, settings.num_heads, 4 * dim, settings.dropout, activation="gelu", batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, settings.fusion_layers, enable_nested_tensor=False)
        self.gate = nn.Sequential(
            nn.Linear(dim, dim // 4), nn.GELU(), nn.Linear(dim // 4, settings.bottlenecks), nn.Softmax(-1)
        )

    def forward(
        self,
        tokens: dict[str, Float[Tensor, "b l d"]],
        quality: dict[str, Float[Tensor, "b l 1"]],
        masks: dict[str, Bool[Tensor, "b l"]],
    ) -> Float[Tensor, "b d"]:
        placed = [
            tokens[stream] + self.modality.weight[place] + self.quality(quality[stream])
            for place, stream in enumerate(STREAMS)
        ]
        x = torch.cat(placed, 1)
        x = x + _index_code(x)
        shared = self.bottlenecks.expand(len(x), -1, -1)
        seen = torch.cat([torch.ones_like(shared[..., 0], dtype=torch.bool), *masks.values()], 1)
        out = self.layers(torch.cat([shared, x], 1), src_key_padding_mask=~seen)[:, : shared.shape[1]]
        return torch.einsum("bk,bkd->bd", self.gate(out.mean(1)), out)


def _quality_estimator(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim // 2), nn.GELU(), nn.Linear(dim // 2, 1), nn.Sigmoid())


def _index_code(x: Float[Tensor, "b l d"]) -> Float[Tensor, "l d"]:
    """Sine and cosine of the index in the concatenation."""
    half = torch.arange(0, x.shape[2], 2, device=x.device, dtype=x.dtype)
    index = torch.arange(x.shape[1], device=x.device, dtype=x.dtype)
    phase = index.unsqueeze(-1) * torch.exp(-math.log(10_000.0) * half / x.shape[2])
    return torch.stack([phase.sin(), phase.cos()], -1).flatten(1)


def _mean(x: Float[Tensor, "b l d"], mask: Bool[Tensor, "b l"]) -> Float[Tensor, "b d"]:
    weights = mask.to(x.dtype).unsqueeze(-1)
    return (x * weights).sum(1) / weights.sum(1).clamp(min=1)
