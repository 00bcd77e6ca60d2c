"""One stream on its own: what comes in, cleaned, projected and placed in time, then a transformer or an LSTM."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gonogo_recipes.maft.batch import Stream
from gonogo_recipes.maft.layers import Block, with_any_key
from gonogo_recipes.maft.settings_fields import ModelSettings


class StreamEncoder(nn.Module):
    """The steps of one stream as tokens of `hidden_dim`.

    Args:
        name: text, audio or visual, for error messages.
        width: Features of a step; 0: token ids.
    """

    def __init__(self, name: str, width: int, settings: ModelSettings) -> None:
        super().__init__()
        dim = settings.hidden_dim
        self.name, self.width = name, width
        self.content = nn.Linear(width, dim) if width else nn.Embedding(settings.vocab_size, dim)
        self.modality = nn.Parameter(0.02 * torch.randn(dim))
        self.context = LstmContext(settings) if settings.encoder == "lstm" else TransformerContext(settings)
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, stream: Stream, code: Float[Tensor, "b l d"], bias: Float[Tensor, "b l"]
    ) -> Float[Tensor, "b l d"]:
        """Tokens; those where the mask is False hold no information and must not be used.

        Args:
            stream: Its content may be anything where its mask is False.
            code: Of the steps' times.
            bias: Of the steps as keys; -inf where the mask is False.
        """
        x = self.content(self._cleaned(stream)) + self.modality + code
        return self.norm(self.context(x, stream.mask, bias))

    def _cleaned(self, stream: Stream) -> Tensor:
        """Zeros where nothing is valid: chosen, not multiplied, because 0 * NaN is NaN."""
        content, mask = stream.content, stream.mask
        expected = (*mask.shape, self.width) if self.width else tuple(mask.shape)
        if tuple(content.shape) != expected or content.is_floating_point() != bool(self.width):
            kind = f"features {list(expected)}" if self.width else f"token ids {list(expected)}"
            raise ValueError(f"{self.name}: {content.dtype} {list(content.shape)} was found, {kind} was expected")
        if not self.width:
            return torch.where(mask, content, 0)
        return torch.where(mask.unsqueeze(-1), content, 0).to(self.modality.dtype)


class TransformerContext(nn.Module):
    """Pre-norm blocks over the valid steps."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        shape = (settings.hidden_dim, settings.num_heads, settings.dropout)
        self.blocks = nn.ModuleList(Block(*shape) for _ in range(settings.num_layers))

    def forward(
        self, x: Float[Tensor, "b l d"], mask: Bool[Tensor, "b l"], bias: Float[Tensor, "b l"]
    ) -> Float[Tensor, "b l d"]:
        """Shapes stay."""
        keys = with_any_key(bias)
        for block in self.blocks:
            x = block(x, keys)
        return x


class LstmContext(nn.Module):
    """A bidirectional LSTM over the valid steps alone: without packing, the way back would start in the padding."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        dim, layers = settings.hidden_dim, settings.num_layers
        between = settings.dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(dim, dim // 2, layers, batch_first=True, bidirectional=True, dropout=between)

    def forward(
        self, x: Float[Tensor, "b l d"], mask: Bool[Tensor, "b l"], bias: Float[Tensor, "b l"]
    ) -> Float[Tensor, "b l d"]:
        """Shapes stay; zeros where the mask is False."""
        # Valid steps first, in their order: padding may be on either side, and a stream may have holes.
        order = torch.sort(mask.int(), dim=-1, descending=True, stable=True).indices
        place = order.argsort(-1).unsqueeze(-1).expand_as(x)
        gathered = x.gather(1, order.unsqueeze(-1).expand_as(x))
        lengths = mask.sum(-1).clamp(min=1).cpu()  # an absent stream runs one step that the mask takes away
        packed = pack_padded_sequence(gathered, lengths, batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])
        return torch.where(mask.unsqueeze(-1), out.gather(1, place), 0)
