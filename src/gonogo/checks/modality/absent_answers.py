"""What one stream says must not be drawn to what is said of a stream that is not there."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.streams import answers as stream_answers
from gonogo.instruments.streams.fields import Stream, streams
from gonogo.training import batch as nested
from gonogo.training import seeding
from gonogo.training.entry import entry
from gonogo.training.session import Session, evaluating
from gonogo.training.subject import Subject

MOVED = 1e-6  # relative; exact where nothing is drawn


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN, C.MODALITY_CLAIM},
    effort=Effort.STEP,
    after=("model.nonfinite-values", "modality.combinations"),
    criteria=[at_most("drawn", fail=0, source="exact: the answer of an absent stream is a bias, and teaches nothing")],
    since="0.5",
)
def absent_answers(session: Session) -> Observation:
    """Absent streams teach the others nothing | Answers are drawn to those of an absent stream

    What: finds the outputs that speak of one stream alone (no other stream's content changes them), takes one stream
        away through its mask, and asks whether what the loss wants of another stream's output changes with the output
        of the absent one. `drawn` counts such pairs.
    Why: a consistency term that is not masked pulls every stream to what the head of a missing one says of nothing: its
        bias. With modality dropout that happens in a share of all samples, for the whole training.
    Fix: sum such terms over pairs of streams that are both there, and divide by the number of such pairs.
    Shapes: outputs with a row per sample; streams [b, t, ...] with masks.
    Units: drawn: pairs of streams (n: pairs).
    Source: a published multimodal model whose consistency loss reached absent modalities; ours.
    """
    model = stream_answers.awake(session)
    [batch] = session.batches("train", limit=1)
    masked = [stream for stream in streams(session) if stream.mark is not None]
    own = _own_outputs(session, model, batch, masked)
    if len(own) < 2:
        raise NotApplicable("fewer than two streams have an output of their own")
    rows = [
        (absent.name, other.name, _drawn(session, model, batch, absent, own[absent.name], own[other.name]))
        for absent in masked
        for other in masked
        if absent is not other and absent.name in own and other.name in own
    ]
    table = Table("What is wanted of an answer, by that of an absent stream", _COLUMNS, tuple(rows))
    drawn = sum(change > MOVED for *_, change in rows)
    return Observation({"drawn": Measurement(drawn, "{pair}", n=len(rows))}, (table,))


_COLUMNS = ("absent", "whose answer is drawn", "relative change of its gradient")


def _own_outputs(session: Session, model: nn.Module, batch: Any, masked: list[Stream]) -> dict[str, str]:
    """Stream -> the path of an output that its content changes, and that of no other stream does."""
    _, base = _run(session, model, batch)
    moved: dict[str, set[str]] = {path: set() for path in base}
    for stream in masked:
        _, found = _run(session, model, stream.with_other(batch, stream.there(batch), session.seed))
        for path in base.keys() & found.keys():
            if not torch.equal(found[path], base[path]):
                moved[path].add(stream.name)
    return {next(iter(names)): path for path, names in moved.items() if len(names) == 1}


def _drawn(session: Session, model: nn.Module, batch: Any, absent: Stream, its: str, other: str) -> float:
    without = absent.with_there(batch, torch.zeros_like(absent.there(batch)))
    wanted: list[Tensor] = []
    for moved in ("", its):
        loss, leaves = _run(session, model, without, moved)
        [gradient] = torch.autograd.grad(loss, [leaves[other]], allow_unused=True)
        wanted.append(torch.zeros_like(leaves[other]) if gradient is None else gradient)
    return float((wanted[1] - wanted[0]).abs().max() / wanted[0].abs().max().clamp(min=1e-12))


def _run(session: Session, model: nn.Module, batch: Any, moved: str = "") -> tuple[Tensor, dict[str, Tensor]]:
    """The loss in evaluation mode as a function of the model's outputs, by path; one of them moved at random."""
    leaves: dict[str, Tensor] = {}
    generator = torch.Generator().manual_seed(session.seed)

    def change(path: str, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or not leaf.is_floating_point():
            return leaf
        noise = torch.randn(leaf.shape, generator=generator).to(leaf)
        leaves[path] = (leaf.detach() + noise * float(path == moved)).requires_grad_()
        return leaves[path]

    def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
        return nested.map_leaves(change, output)

    handle = entry(model).register_forward_hook(hook)
    try:
        with evaluating(model), seeding.seeded(session.seed), torch.enable_grad():
            return session.loss(nested.clone(batch), model), leaves
    finally:
        handle.remove()


class _Heads(nn.Module):
    """A model, and a head for each of two streams alone."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.heads = inner, nn.ModuleDict({name: nn.LazyLinear(3) for name in ("audio", "vision")})

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scores of the whole and of the streams."""
        means = {name: batch[name].masked_fill(~batch[f"{name}_mask"].unsqueeze(-1), 0).mean(1) for name in self.heads}
        return {"whole": self.inner(batch), **{name: self.heads[name](mean) for name, mean in means.items()}}


@fault(toy="multimodal_attention")
def consistency_with_the_absent(subject: Subject) -> Subject:
    """The answers of two streams are drawn together, whether both are there or not."""

    def loss(model: nn.Module, batch: Any) -> Tensor:
        outputs = model(batch)
        one, two = (outputs[name].log_softmax(-1) for name in ("audio", "vision"))
        apart = functional.kl_div(one, two, log_target=True, reduction="batchmean")
        return functional.cross_entropy(outputs["whole"], batch["label"]) + apart

    if set(subject.claims.modalities) != {"audio", "vision", "text"}:
        raise NotApplicable("the streams are others")
    return replace(subject.map_model(_Heads), loss=loss, step=None, predict=None, evaluate=None)
