"""Who reads whom: the attention that the tokens of one stream give to those of another."""

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.instruments.attention.between_streams import OTHER, PADDING, Located, Pairs, pairs
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_CELLS = 24  # rows and columns of a picture; neighbours are averaged


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN, C.MODALITY_CLAIM},
    effort=Effort.STEP,
    after=("model.nonfinite-values", "attention.rows"),
    criteria=[at_most("padding", warn=1e-6, source="exact: a masked key gets exactly 0; models may do without masks")],
    since="0.3",
)
def pair_mass(session: Session) -> Observation:
    """Streams read each other, not padding | Attention goes to padding

    What: exchanges the content of each stream in Claims(modalities=...) and looks which queries and keys of each
        attention call change, bit for bit: those are its tokens. Behind the first layer, where all tokens know of
        all streams, a token is what stands in its place in the first. `padding` is the largest share of attention, in
        any call, that tokens with content give to steps of a stream that are not there. The table and the pictures
        show who reads whom: streams, and tokens of no stream (bottlenecks, class tokens). Where two streams meet only
        through such tokens, the picture is the product of both ways.
    Why: attention that goes to padding is diluted by the longest sample in the batch, and another batch gives another
        answer. A stream that nobody reads cannot help.
    Fix: give each attention the key mask of its tokens; modality.padding says whether the answer depends on it.
    Shapes: weights [batch, head, query, key].
    Units: padding: 1.
    Source: A. Nagrani et al., Attention Bottlenecks for Multimodal Fusion (2021); S. Abnar and W. Zuidema, Quantifying
        Attention Flow in Transformers (2020), for the products.
    """
    found = pairs(session)
    groups = found.groups
    readers = [one for one in groups if one != PADDING]
    shares = tuple((one, *(found.share(one, other) for other in groups)) for one in readers)
    padding = max(_to_padding(call, readers) for call in found.calls)
    pictures = (_picture(found, *pair) for pair in itertools.permutations(found.streams, 2))
    return Observation(
        {"padding": Measurement(padding, n=len(found.calls))},
        (
            Table("Share of attention: rows read, columns are read", ("reader", *groups), shares, kind="heatmap"),
            *(table for table in pictures if table is not None),
        ),
    )


def _to_padding(call: Located, readers: list[str]) -> float:
    sums = [call.mass(one, PADDING) for one in readers]
    return max((total / rows for total, rows in sums if rows), default=0.0)


def _picture(found: Pairs, reader: str, read: str) -> Table | None:
    direct = next(_between(found.calls, reader, read), None)
    title = f"{reader} reads {read}, by token"
    if direct is not None:
        return _heatmap(title, reader, read, direct[1])
    for first, reads in _between(found.calls, OTHER, read):
        for later, writes in _between(found.calls, reader, OTHER):
            if later > first and writes.shape[1] == reads.shape[0]:
                return _heatmap(f"{title}, through other tokens", reader, read, writes @ reads)
    return None


def _between(calls: tuple[Located, ...], reader: str, read: str) -> Iterator[tuple[int, Tensor]]:
    """The place of a call and its weights for the first sample that has tokens of both groups."""
    for index, call in enumerate(calls):
        both = call.queries[reader].any(1) & call.keys[read].any(1)
        if bool(both.any()):
            yield index, call.picture(reader, read, int(both.long().argmax()))


def _heatmap(title: str, reader: str, read: str, weights: Tensor) -> Table:
    size = (min(_CELLS, weights.shape[0]), min(_CELLS, weights.shape[1]))
    small = functional.adaptive_avg_pool2d(weights[None, None].float(), size)[0, 0].tolist()
    rows = tuple((str(place), *(float(f"{value:.2g}") for value in row)) for place, row in enumerate(small))
    columns = (f"{reader}, {read}", *(str(place) for place in range(size[1])))
    return Table(title, columns, rows, kind="heatmap")


class _Unmasked(nn.Module):
    """Attention in front of which the mask is lost."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner, self.norm = inner, inner.norm

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        return self.inner(x, memory, torch.ones_like(mask))


@fault(toy="multimodal_attention", expect=Status.WARN)
def mask_lost(subject: Subject) -> Subject:
    """The attention gets no key mask, so padding is read."""

    def change(model: Any) -> nn.Module:
        model.attention = _Unmasked(model.attention)
        return model

    return subject.map_model(change)
