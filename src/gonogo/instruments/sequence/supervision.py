"""Which positions of a sequence are asked for which token: read off the gradient of the loss at the logits.

The gradient of a cross-entropy is below zero at the wanted class alone, whatever function computes it, and exactly
zero where a position is not supervised. Legend of shapes: b rows, t positions.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gonogo.errors import NotApplicable
from gonogo.instruments.answers.recorded_call import Probe, recorded
from gonogo.instruments.memo import instrument
from gonogo.instruments.sequence.isolation import View, output_of, reaches, response, views
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.entry import entry
from gonogo.training.session import Session, evaluating

ROWS = 20  # supervised positions that an agreement needs, so that chance cannot make it


@dataclass(frozen=True)
class Supervision:
    """One batch as the loss sees it.

    Attributes:
        batch: The batch.
        tokens: What stands at each position, [b, t].
        wanted: The token asked for at each position, [b, t]; -1 where none is.
        loss: The value of the loss.
    """

    batch: Any
    tokens: Tensor
    wanted: Tensor
    loss: float


@instrument
def token_views(session: Session) -> tuple[View, ...]:
    """The inputs of token ids on which the outputs depend.

    Raises:
        NotApplicable: There are none.
    """
    probe = recorded(session)
    ids = [view for view in views(probe) if not probe.streams[view.path].is_floating_point()]
    tied = {reach.view for reach in reaches(session)}
    # Where only sequence-first ties positions together, the other reading takes samples for positions.
    swapped = {view.path for view in tied if view.rows == 1} - {view.path for view in tied if view.rows == 0}
    read = [view for view in ids if view.rows == int(view.path in swapped)]
    found = tuple(view for view in read if _reacts(probe, view))
    if not found:
        raise NotApplicable("no output with positions depends on token ids")
    return found


def _reacts(probe: Probe, view: View) -> bool:
    try:
        return bool(response(probe, view, _everywhere(probe, view)).any())
    except NotApplicable:  # labels beside the tokens may refuse other content
        return False


def _everywhere(probe: Probe, view: View) -> Tensor:
    return torch.ones_like(view.of(probe.streams[view.path]), dtype=torch.bool)


@instrument
def supervised(session: Session, *, view: View, batches: int = 3) -> tuple[Supervision, ...]:
    """What the loss asks of some training batches, beside the tokens of one input.

    Raises:
        NotApplicable: The loss does not ask for one token per position.
    """
    output = output_of(recorded(session), view)
    assert output is not None  # views without an output are not handed out
    model = session.copy_model()
    seen = [_ask(session, model, batch, view, output) for batch in session.batches("train", limit=batches)]
    found = tuple(one for one in seen if one is not None)
    if not found:
        raise NotApplicable("the loss does not reach the outputs of the model's call as logits per position")
    return found


def _ask(session: Session, model: nn.Module, batch: Any, view: View, output: str) -> Supervision | None:
    # A certain model has no gradient left, so the loss first sees logits of zero; where it is computed inside the
    # model that is too late, and the model's own logits must do.
    for level in (True, False):
        seen = _call(session, model, batch, output, level=level)
        if seen is None:
            return None
        inputs, logits, loss = seen
        tokens = nested.tensors(inputs)[view.path]
        gradient = None if logits.grad is None else view.output(logits.grad, tokens)
        if gradient is not None and gradient.dim() == 3:
            return Supervision(batch, view.of(tokens), wanted_of(gradient), loss)
    return None


def _call(
    session: Session, model: nn.Module, batch: Any, output: str, *, level: bool
) -> tuple[Any, Tensor, float] | None:
    """(inputs of the model's first call, its logits with their gradient, the loss)."""
    calls: list[tuple[Any, Tensor]] = []

    def note(module: nn.Module, args: Any, kwargs: Any, result: Any) -> Any:
        logits = nested.tensors(result).get(output)
        if calls or logits is None or not logits.requires_grad:
            return None
        chosen = torch.zeros_like(logits).requires_grad_() if level else logits
        chosen.retain_grad()
        calls.append((nested.clone({"args": list(args), "kwargs": dict(kwargs)}), chosen))
        return nested.map_leaves(lambda path, leaf: chosen if path == output else leaf, result) if level else None

    handle = entry(model).register_forward_hook(note, with_kwargs=True)
    try:
        with torch.enable_grad(), evaluating(model), seeding.seeded(session.seed):
            loss = session.loss(nested.clone(batch), model)
            if loss.requires_grad:
                loss.backward()
    finally:
        handle.remove()
        model.zero_grad(set_to_none=True)
    return (*calls[0], float(loss.detach())) if calls else None


def wanted_of(gradient: Tensor) -> Tensor:
    """[b, t, v] -> [b, t]: the class whose logit the loss pushes up; -1 where the loss does not look.

    Raises:
        NotApplicable: The gradient is none of a cross-entropy.
    """
    gradient = gradient.nan_to_num(0.0, 0.0, 0.0)  # the loss of nothing: the mean over no token is nan
    asked = (gradient != 0).any(-1)
    # A softmax spreads what it takes: the gradient over the classes sums to zero. Behind it, one class is pushed up.
    total, size = gradient.sum(-1), gradient.abs().sum(-1)
    single = ((gradient != 0).sum(-1) == 1) & (total < 0)
    if bool(((total.abs() > 1e-2 * size) & ~single)[asked].any()):
        raise NotApplicable("the loss is no cross-entropy over the outputs at each position")
    return torch.where(asked, gradient.argmin(-1), -1)


def agreement(found: tuple[Supervision, ...], ahead: int) -> tuple[int, int]:
    """(equal, compared): how many wanted tokens equal the one that stands `ahead` positions later."""
    equal = compared = 0
    for one in found:
        t = min(one.tokens.shape[1], one.wanted.shape[1])
        start, stop = max(0, -ahead), max(min(t, one.tokens.shape[1] - ahead), 0)
        asked, there = one.wanted[:, start:stop], one.tokens[:, start + ahead : max(stop + ahead, 0)]
        equal, compared = equal + int(((asked == there) & (asked >= 0)).sum()), compared + int((asked >= 0).sum())
    return equal, compared


@instrument
def horizon(session: Session, *, view: View) -> int:
    """How far ahead of a position its output sees: 0 if up to itself, -1 if the model shifts its input inside.

    Raises:
        NotApplicable: No output depends on the tokens in the middle.
    """
    probe = recorded(session)
    length = probe.streams[view.path].shape[view.time]
    seen: list[int] = []
    for place in sorted({length // 3, length // 2, 2 * length // 3}):
        where = torch.zeros_like(_everywhere(probe, view))
        where[:, place] = True
        touched = (response(probe, view, where) > 0).any(0).nonzero().flatten()
        seen += [place - int(touched.min())] if len(touched) else []
    if not seen:
        raise NotApplicable("no output depends on a token in the middle")
    return max(seen)
