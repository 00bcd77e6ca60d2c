"""What MAFT must beat: text alone, late fusion, early fusion with and without the alignment in time, a constant.

All take MAFT's batch and return its outputs, so that the same loss, the same loop and the same metrics serve. A term of
the loss that a baseline has no part for is 0.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gonogo_recipes.maft.batch import LABEL, STREAMS, Batch, Stream, present, stream_of
from gonogo_recipes.maft.encoders import StreamEncoder
from gonogo_recipes.maft.layers import TimeCode, key_bias, pooled
from gonogo_recipes.maft.model import build_model
from gonogo_recipes.maft.settings import ModelSettings, Settings

Outputs = dict[str, Tensor]
_WIDEST = 1024


def _outputs(logits: Float[Tensor, "b c"], regression: Float[Tensor, "b 1"], seen: Bool[Tensor, "b 3"]) -> Outputs:
    """MAFT's outputs: the streams have no opinion of their own, and nothing is dropped that could be guessed."""
    nothing = logits.new_zeros(len(logits), len(STREAMS), 1)
    return {
        "logits": logits,
        "regression": regression,
        **{f"logits_{stream}": logits for stream in STREAMS},  # equal ones agree: the consistency term is 0
        "embeddings": nothing,
        "reconstruction": nothing,
        "target": nothing,
        "present": seen,
        "dropped": torch.zeros_like(seen),
    }


class Readout(nn.Module):
    """Class and sentiment from one vector, by the same kind of heads as MAFT's."""

    def __init__(self, width: int, settings: ModelSettings) -> None:
        super().__init__()
        dim = settings.hidden_dim

        def head(out: int) -> nn.Sequential:
            return nn.Sequential(nn.Linear(width, dim), nn.GELU(), nn.Dropout(settings.dropout), nn.Linear(dim, out))

        self.classification, self.regression = head(settings.num_classes), head(1)

    def forward(self, fused: Float[Tensor, "b w"], seen: Bool[Tensor, "b 3"]) -> Outputs:
        """The outputs of MAFT."""
        return _outputs(self.classification(fused), self.regression(fused), seen)


class LateFusion(nn.Module):
    """Each stream is encoded and averaged over time; the averages are put side by side. With one stream: that alone."""

    def __init__(self, settings: ModelSettings, streams: tuple[str, ...] = STREAMS) -> None:
        super().__init__()
        self.streams, self.quality_weight = streams, settings.quality_weight
        self.time_code = TimeCode(settings.hidden_dim)
        self.encoders = nn.ModuleDict({name: StreamEncoder(name, _width(settings, name), settings) for name in streams})
        self.readout = Readout(len(streams) * settings.hidden_dim, settings)

    def forward(self, batch: Batch) -> Outputs:
        """See Readout.forward."""
        pools = [self._pooled(name, stream_of(batch, name)) for name in self.streams]
        seen = present(batch) & torch.tensor([name in self.streams for name in STREAMS], device=pools[0].device)
        return self.readout(torch.cat(pools, -1), seen)

    def _pooled(self, name: str, stream: Stream) -> Float[Tensor, "b d"]:
        code = self.time_code(torch.where(stream.mask, stream.time, 0))
        bias = key_bias(stream.mask, stream.quality, self.quality_weight, code.dtype)
        return pooled(self.encoders[name](stream, code, bias), bias)


class EarlyFusion(nn.Module):
    """Raw features of the streams side by side in each step, and one encoder over the steps.

    Args:
        settings: Sizes.
        aligned: True: beside each word stand the audio and visual frames nearest to it in time, which is what the task
            asks to be found out. False: beside each other stands what has the same index, whenever it happened.
    """

    def __init__(self, settings: ModelSettings, aligned: bool) -> None:
        super().__init__()
        self.aligned, dim = aligned, settings.hidden_dim
        width = settings.text_dim or dim
        self.words = None if settings.text_dim else nn.Embedding(settings.vocab_size, dim)
        self.time_code = TimeCode(dim)
        # Features in place of ids; each stream also says whether it is there.
        columns = width + settings.audio_dim + settings.visual_dim + len(STREAMS)
        self.encoder = StreamEncoder("fused", columns, settings)
        self.readout = Readout(dim, settings)

    def forward(self, batch: Batch) -> Outputs:
        """See Readout.forward."""
        streams = {name: self._cleaned(stream_of(batch, name)) for name in STREAMS}
        fused = _by_time(streams) if self.aligned else _by_index(streams)
        code = self.time_code(fused.time)
        bias = key_bias(fused.mask, None, 1.0, code.dtype)
        return self.readout(pooled(self.encoder(fused, code, bias), bias), present(batch))

    def _cleaned(self, stream: Stream) -> Stream:
        """Features that are 0, and times that are 0, where nothing is valid."""
        content, mask = stream.content, stream.mask
        if content.dim() == 2 and self.words is not None:
            content = self.words(torch.where(mask, content, 0))
        content = torch.where(mask.unsqueeze(-1), content, 0).to(self.encoder.modality.dtype)
        return Stream(content, mask, torch.where(mask, stream.time, 0), None)


def nearest(time: Float[Tensor, "b l"], other: Stream) -> Int[Tensor, "b l"]:
    """For each time the valid step of another stream that is nearest to it; any, where that has none."""
    distance = (time.unsqueeze(-1) - other.time.unsqueeze(-2)).abs()
    return torch.where(other.mask.unsqueeze(-2), distance, torch.inf).argmin(-1)


def _by_time(streams: Mapping[str, Stream]) -> Stream:
    """On the clock of the text."""
    text = streams["text"]
    parts, seen = [text.content], [text.mask]
    for name in STREAMS[1:]:
        other = streams[name]
        place = nearest(text.time, other).unsqueeze(-1)
        parts.append(other.content.gather(1, place.expand(-1, -1, other.content.shape[-1])))
        seen.append(other.mask.any(-1, keepdim=True).expand_as(text.mask))
    flags = torch.stack(seen, -1).to(text.content.dtype)
    return Stream(torch.cat([*parts, flags], -1), text.mask, text.time, None)


def _by_index(streams: Mapping[str, Stream]) -> Stream:
    """On the longest stream's steps; shorter ones end early. A step's time is its share of the longest."""
    steps = max(stream.mask.shape[1] for stream in streams.values())
    mask = torch.stack([_lengthened(stream.mask, steps) for stream in streams.values()], -1)
    parts = [_lengthened(stream.content, steps) for stream in streams.values()]
    valid = mask.any(-1)
    index = torch.arange(steps, device=valid.device).expand_as(valid)
    content = torch.cat([*parts, mask.to(parts[0].dtype)], -1)
    return Stream(content, valid, (index.to(content.dtype) + 0.5) / steps, None)


def _lengthened(x: Tensor, steps: int) -> Tensor:
    return torch.cat([x, x.new_zeros(len(x), steps - x.shape[1], *x.shape[2:])], 1)


class Constant(nn.Module):
    """The answer that needs no input: the most frequent class and the median sentiment of the training split."""

    def __init__(self, labels: Int[Tensor, " n"], scores: Float[Tensor, " n"], classes: int) -> None:
        super().__init__()
        shares = torch.bincount(labels, minlength=classes).to(scores.dtype) / len(labels)
        self.log_prior = nn.Parameter(shares.clamp(min=1e-12).log(), requires_grad=False)
        self.median = nn.Parameter(scores.median(), requires_grad=False)

    def forward(self, batch: Batch) -> Outputs:
        """See Readout.forward."""
        rows = len(batch[LABEL])
        return _outputs(self.log_prior.expand(rows, -1), self.median.expand(rows, 1), present(batch))


KINDS: dict[str, Callable[[ModelSettings], nn.Module]] = {
    "text-only": lambda settings: LateFusion(settings, ("text",)),
    "late-fusion": LateFusion,
    "early-fusion": lambda settings: EarlyFusion(settings, aligned=False),
    "early-fusion-aligned": lambda settings: EarlyFusion(settings, aligned=True),
}


def matched(kind: str, settings: Settings) -> nn.Module:
    """A baseline as wide as gives it about as many parameters as MAFT has with these settings.

    A baseline that is smaller would lose for that alone. Widths are steps of the number of heads, so sizes differ by a
    few per cent. Weights are drawn from torch's generator.
    """
    model = settings.model
    with torch.device("meta"):
        wanted = count(build_model(settings))
        step = model.num_heads * (1 + model.num_heads % 2)  # even, for the sines and cosines of the time
        widths = (model.model_copy(update={"hidden_dim": width}) for width in range(step, _WIDEST, step))
        best = min(_until(widths, kind, wanted), key=lambda sized: abs(sized[1] - wanted))[0]
    return KINDS[kind](best)


def _until(widths: Iterable[ModelSettings], kind: str, wanted: int) -> Iterator[tuple[ModelSettings, int]]:
    """Widths with their sizes, up to the first that is larger than wanted."""
    for settings in widths:
        size = count(KINDS[kind](settings))
        yield settings, size
        if size > wanted:
            return


def count(model: nn.Module) -> int:
    """Trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _width(settings: ModelSettings, stream: str) -> int:
    return {"text": settings.text_dim, "audio": settings.audio_dim, "visual": settings.visual_dim}[stream]
