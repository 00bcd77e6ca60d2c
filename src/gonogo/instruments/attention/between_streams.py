"""Which tokens of an attention call belong to which stream of the batch, and who reads whom.

A token belongs to the stream with whose content it changes, bit for bit, when everything else stays. Legend of shapes:
b samples, q queries, k keys, n tokens.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gonogo.errors import NotApplicable
from gonogo.instruments.attention.capture import Captured, maps_of
from gonogo.instruments.attention.weights import AttentionMap
from gonogo.instruments.memo import instrument
from gonogo.instruments.streams.fields import streams
from gonogo.training.session import Session

PADDING, OTHER, MIXED = "padding", "other tokens", "mixed"
Owners = Mapping[str, Tensor]  # for each group the tokens of each sample that belong to it, bool [b, n]


@dataclass(frozen=True)
class Located:
    """One call whose tokens are known.

    Attributes:
        map: The call.
        queries: The owners of its queries [b, q]: streams, padding of a stream, tokens of no stream, or of several.
        keys: The owners of its keys [b, k].
    """

    map: AttentionMap
    queries: Owners
    keys: Owners

    def mass(self, reader: str, read: str) -> tuple[float, int]:
        """Attention of the queries of one group on the keys of another, summed over rows, and the number of rows."""
        weights = self.map.weights.double().nan_to_num()
        rows = self.queries[reader].unsqueeze(1) & (self.map.valid > 0)
        share = (weights * self.keys[read][:, None, None].to(weights)).sum(-1)
        return float(share[rows].sum()), int(rows.sum())

    def picture(self, reader: str, read: str, sample: int) -> Float[Tensor, "q k"]:
        """Mean over the heads for one sample, of the queries of one group and the keys of another."""
        weights = self.map.weights[sample].double().nan_to_num().mean(0)
        return weights[self.queries[reader][sample]][:, self.keys[read][sample]]


@dataclass(frozen=True)
class Pairs:
    """All calls that could be located.

    Attributes:
        streams: Their names, in the order of the claims.
        calls: In order; those without a token of a stream are left out.
        left: Calls whose tokens could not be told apart.
    """

    streams: tuple[str, ...]
    calls: tuple[Located, ...]
    left: int

    @property
    def groups(self) -> tuple[str, ...]:
        """Streams, then the tokens that belong to none of them, as far as there are any."""
        rest = (one for one in (OTHER, MIXED, PADDING) if any(bool(call.keys[one].any()) for call in self.calls))
        return (*self.streams, *rest)

    def share(self, reader: str, read: str) -> float | None:
        """What a query of one group gives to the keys of another on average over all calls; None if they never meet."""
        met = any(bool(call.keys[read].any()) and bool(call.queries[reader].any()) for call in self.calls)
        sums = [call.mass(reader, read) for call in self.calls]
        rows = sum(count for _, count in sums)
        return sum(total for total, _ in sums) / rows if met and rows else None


@instrument
def pairs(session: Session) -> Pairs:
    """Who reads whom in the attention of one batch; each stream's content is exchanged once to find its tokens.

    Raises:
        NotApplicable: There are fewer than two streams, no attention is seen, or its tokens cannot be told apart.
    """
    known = streams(session)
    if len(known) < 2:
        raise NotApplicable("fewer than two streams of Claims(modalities=...) are in the batch")
    [batch] = session.batches("train", limit=1)
    model = session.copy_model()
    base = maps_of(session, model, batch, content=True)
    if not base.maps:
        base.refuse_unseen()
    others = {
        one.name: maps_of(session, model, one.with_other(batch, one.there(batch), session.seed), content=True)
        for one in known
    }
    names = tuple(one.name for one in known)
    calls = _located(base, others, {one.name: one.there(batch) for one in known})
    kept = tuple(call for call in calls if any(bool(call.keys[name].any()) for name in names))
    if not kept:
        raise NotApplicable("no key of any attention belongs to one stream alone")
    return Pairs(names, kept, len(base.maps) - len(calls))


def _located(base: Captured, others: Mapping[str, Captured], there: Mapping[str, Tensor]) -> list[Located]:
    found: list[Located] = []
    for index, one in enumerate(base.maps):
        same = {name: _same_call(other, index, one) for name, other in others.items()}
        contents = {name: other.content for name, other in same.items() if other is not None and other.content}
        if one.content is None or len(contents) < len(others):
            continue
        queries = owners(one.content.queries, {name: other.queries for name, other in contents.items()})
        keys = owners(one.content.keys, {name: other.keys for name, other in contents.items()})
        steps = {
            name: mask[:, one.rows.to(mask.device)] for name, mask in there.items() if mask.shape[1] == one.shape[2]
        }
        queries = _without_padding(queries, there if len(one.rows) == one.shape[2] else steps)
        found.append(_as_before(Located(one, queries, _without_padding(keys, there)), found))
    return found


def _without_padding(found: Owners, there: Mapping[str, Tensor]) -> Owners:
    """Behind an encoder steps that are not there know of the others; with a token for each step they are told apart."""
    padding, told = found[PADDING].clone(), dict(found)
    for name, steps in there.items():
        places = (found[name].any(0) & ~found[MIXED].any(0)).nonzero().flatten()
        if len(places) != steps.shape[1]:
            continue
        hidden = torch.zeros_like(padding)
        hidden[:, places] = ~steps[: len(padding)].to(padding.device)
        told[name], padding = told[name] & ~hidden, padding | hidden
    return {**told, PADDING: padding}


def _same_call(other: Captured, index: int, one: AttentionMap) -> AttentionMap | None:
    match = other.maps[index] if index < len(other.maps) else None
    return match if match is not None and (match.where, match.shape) == (one.where, one.shape) else None


def owners(base: Tensor, changed: Mapping[str, Tensor]) -> Owners:
    """To whom the rows of [b, n, ...] belong, by what they are when the content of each stream is another one.

    A row that no stream moves is padding where it is moved in another sample.
    """
    moved = torch.stack([_differs(base, other) for other in changed.values()])
    count = moved.sum(0)
    still = count == 0
    padding = still & (count > 0).any(0, keepdim=True)
    groups = {name: moved[index] & (count == 1) for index, name in enumerate(changed)}
    return {**groups, PADDING: padding, OTHER: still & ~padding, MIXED: count > 1}


def _differs(one: Tensor, other: Tensor) -> Bool[Tensor, "b n"]:
    same = (one == other) | (one.isnan() & other.isnan())
    return (~same).flatten(2).any(2)


def _as_before(one: Located, before: list[Located]) -> Located:
    """Behind the first layer every token knows of all streams: a token is then what it was in that place before."""
    if not bool(one.keys[MIXED].any() | one.queries[MIXED].any()):
        return one
    for earlier in reversed(before):
        alike = _pattern(earlier.map.where) == _pattern(one.map.where) and earlier.map.shape == one.map.shape
        if alike and not bool(earlier.keys[MIXED].any()):
            return Located(one.map, earlier.queries, earlier.keys)
    return one


def _pattern(where: str) -> str:
    return re.sub(r"\d+", "#", where)
