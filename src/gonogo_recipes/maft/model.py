"""MAFT: three streams, fused through bottlenecks, into a class and a sentiment."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gonogo_recipes.maft.batch import STREAMS, Batch, Stream, present, stream_of
from gonogo_recipes.maft.encoders import StreamEncoder
from gonogo_recipes.maft.fusion import Fusion, ModalityDropout
from gonogo_recipes.maft.layers import TimeCode, key_bias, pooled
from gonogo_recipes.maft.legacy import Legacy
from gonogo_recipes.maft.settings_fields import ModelSettings, Settings

Outputs = dict[str, Tensor]


def build_model(settings: Settings) -> nn.Module:
    """The model that settings.model.variant names; its weights are drawn from torch's generator."""
    kind = Legacy if settings.model.variant == "legacy" else Maft
    return kind(settings.model)


class Maft(nn.Module):
    """The parts are called encoders, fusion and heads; parameter groups go by these names."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        widths = (settings.text_dim, settings.audio_dim, settings.visual_dim)
        self.quality_weight = settings.quality_weight
        self.time_code = TimeCode(settings.hidden_dim)
        self.encoders = nn.ModuleDict(
            {stream: StreamEncoder(stream, width, settings) for stream, width in zip(STREAMS, widths, strict=True)}
        )
        self.modality_dropout = ModalityDropout(settings.modality_dropout)
        self.fusion = Fusion(settings)
        self.heads = Heads(settings)
        if settings.freeze_text:
            self.encoders["text"].content.requires_grad_(False)

    def forward(self, batch: Batch) -> Outputs:
        """What the heads say, and what the loss needs beside it.

        Returns:
            logits [b, c], regression [b, 1], logits_text, logits_audio, logits_visual [b, c], embeddings [b, 3, d] of
            the single streams, reconstruction and target [b, 3, d] of these, present [b, 3]: what the fusion saw, and
            dropped [b, 3]: what modality dropout took away.
        """
        given = present(batch)
        kept = self.modality_dropout(given)
        encoded = [self._encoded(stream, stream_of(batch, stream)) for stream in STREAMS]
        embeddings = torch.stack([pooled(x, bias) for x, bias in encoded], 1)
        tokens = {stream: x for stream, (x, _) in zip(STREAMS, encoded, strict=True)}
        biases = {
            stream: torch.where(kept[:, [place]], bias, -torch.inf)
            for place, (stream, (_, bias)) in enumerate(zip(STREAMS, encoded, strict=True))
        }
        tokens, shared = self.fusion(tokens, biases, kept)
        summaries = [pooled(tokens[stream], biases[stream]) for stream in STREAMS]
        fused = torch.cat([*summaries, shared.mean(1)], -1)
        return {**self.heads(fused, embeddings, kept), "present": kept, "dropped": given & ~kept}

    def _encoded(self, name: str, stream: Stream) -> tuple[Float[Tensor, "b l d"], Float[Tensor, "b l"]]:
        """Tokens of one stream, and their bias as keys."""
        code = self.time_code(torch.where(stream.mask, stream.time, 0))
        bias = key_bias(stream.mask, stream.quality, self.quality_weight, code.dtype)
        return self.encoders[name](stream, code, bias), bias


class Heads(nn.Module):
    """Class and sentiment of the whole, the class as each stream alone sees it, and dropped modalities from the rest.

    The class and the sentiment need a hidden layer: what one modality says may turn what another one says round, and
    products cannot be read out linearly.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        dim, classes = settings.hidden_dim, settings.num_classes
        self.classification = _mlp(4 * dim, dim, classes, settings.dropout)
        self.regression = _mlp(4 * dim, dim, 1, settings.dropout)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(settings.temperature)))
        self.streams = nn.ModuleDict({stream: nn.Linear(dim, classes) for stream in STREAMS})
        # A part of the model: made anew in the loss it would never be trained, nor be in a checkpoint.
        self.reconstruction = nn.Linear(4 * dim, len(STREAMS) * dim)

    def forward(
        self, fused: Float[Tensor, "b 4*d"], embeddings: Float[Tensor, "b 3 d"], kept: Bool[Tensor, "b 3"]
    ) -> Outputs:
        """See Maft.forward."""
        seen = torch.where(kept.unsqueeze(-1), embeddings, 0)
        single = {f"logits_{name}": head(seen[:, place]) for place, (name, head) in enumerate(self.streams.items())}
        return {
            "logits": self.classification(fused) / self.log_temperature.exp(),
            "regression": self.regression(fused),
            **single,
            "embeddings": seen,
            "reconstruction": self.reconstruction(fused).unflatten(-1, embeddings.shape[1:]),
            "target": embeddings.detach(),  # else the encoders would learn to be easy to guess
        }


def _mlp(dim: int, hidden: int, out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, out))
