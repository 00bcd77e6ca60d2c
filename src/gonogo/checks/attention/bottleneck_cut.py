"""A bottleneck is one only if nothing passes beside it."""

from typing import Any

from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.attention.fusion_layer import fusion_layer
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN, C.MODALITY_CLAIM},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[
        at_most("beside", fail=1e-12, source="float64: exactly 0 with a bottleneck, 0.04 and more beside one"),
        at_most("without_tokens", warn=0, source="a bottleneck is made of tokens that belong to no stream"),
    ],
    since="0.3",
)
def bottleneck_cut(session: Session) -> Observation:
    """Streams meet only through the bottleneck | Streams read each other beside the bottleneck

    What: takes the layer that Claims(bottleneck=...) names out of the model and asks it alone, in float64 and
        evaluation mode: `beside` is the largest Jacobian of its output tokens of one stream to its input tokens of
        another (norm of the gradient of a random projection of unit length). Tokens of a stream are those that
        change, bit for bit, with its content alone; the others are the bottleneck, whose way takes two layers.
        `without_tokens` is 1 if there are no such others.
    Why: tokens called bottlenecks in front of one self-attention over everything narrow nothing: streams read each
        other directly, at full cost, and what was to be compared with early fusion is early fusion.
    Fix: one attention for each stream over its own tokens and the bottlenecks, then the mean of their updates; or a
        mask between the streams.
    Shapes: tokens [batch, token, feature], in one input of the layer or in one for each stream.
    Units: beside: 1; without_tokens: 1.
    Source: A. Nagrani et al., Attention Bottlenecks for Multimodal Fusion (2021), section 3.2.
    """
    name = session.claims.bottleneck
    if not name:
        raise NotApplicable("no Claims(bottleneck=...): the module within which streams meet only through other tokens")
    layer = fusion_layer(session, name)
    worst = max((one.jacobian for one in layer.crossings), default=0.0)
    if not layer.located:
        raise NotApplicable(f"no input of {name!r} holds tokens of one stream alone; name the first layer of fusion")
    rows = tuple((one.where, one.reader, one.read, one.jacobian) for one in layer.crossings)
    return Observation(
        {
            "beside": Measurement(worst, n=layer.calls),
            "without_tokens": Measurement(float(layer.free == 0), n=layer.calls),
        },
        (Table("Within one layer", ("module", "tokens of", "depend on tokens of", "Jacobian"), rows),),
    )


class _Mixed(nn.Module):
    """Attention in front of which all tokens read each other."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner, self.norm = inner, inner.norm
        dim = inner.norm.normalized_shape[0]
        self.mixing = nn.TransformerEncoderLayer(dim, inner.heads, dim, dropout=0.0, batch_first=True)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        return self.inner(x, self.mixing(memory, src_key_padding_mask=~mask[:, 0, 0]), mask)


@fault(toy="multimodal_attention")
def full_self_attention(subject: Subject) -> Subject:
    """The layer that is called a bottleneck is self-attention over all tokens."""

    def change(model: Any) -> nn.Module:
        model.attention = _Mixed(model.attention)
        return model

    return subject.map_model(change).with_claims(bottleneck="attention.mixing")
