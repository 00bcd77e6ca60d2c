"""A sample without a stream must get an answer, and one that the absent stream has no part in."""

from typing import Any

from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.streams.present import Combination
from gonogo.instruments.streams.present import combinations as tried
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN, C.MODALITY_CLAIM},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    explains=("learning.", "evaluation."),
    criteria=[
        at_most("refused", fail=0, source="exact: the run itself leaves these streams out"),
        at_most("broken", fail=0, source="exact: nan for a sample spreads to every weight at the next step"),
        at_most("leaking", fail=0, source="exact: the shape stays, so what is not read changes no bit"),
    ],
    since="0.3",
)
def combinations(session: Session) -> Observation:
    """Every combination of streams gets its answer | Some combination of streams gets no answer, or a wrong one

    What: takes streams away from all samples of a batch through their masks, in every combination that leaves one.
        `refused` counts combinations at which the model raises, `broken` those with an answer, loss or gradient that
        is not finite, in evaluation and in training mode, `leaking` those of which an answer changes with what stands
        in an absent stream. Only combinations count that the run itself has: by samples without a stream in its first
        batches, or by the modality dropout that it declares; others are in the table.
    Why: one sample without audio makes every weight nan, or is answered by what its batch neighbour left in the buffer.
    Fix: attention with every key masked gives nan: always leave one token, or replace its result by `torch.where`;
        divide means by at least one; average only over the streams that are there.
    Shapes: streams [b, t, ...] with masks [b, t] or [b]; up to four of them.
    Units: refused, broken, leaking: combinations.
    Source: ours; the seven combinations of three modalities are a requirement of multimodal sentiment systems.
    """
    found = tried(session)
    meant = [one for one in found if one.meant]
    if len(meant) < 2:
        told = next((f": without {_missing(one, found)} {_said(one)}" for one in found if _said(one)), "")
        raise NotApplicable(f"no stream is ever absent, in the first batches or by modality dropout{told}")
    rows = tuple(
        (" + ".join(one.present) or "none", "yes" if one.meant else "no", _said(one) or "finite") for one in found
    )
    return Observation(
        {
            "refused": Measurement(sum(bool(one.refused) for one in meant), "{combination}", n=len(meant)),
            "broken": Measurement(sum(bool(one.broken) for one in meant), "{combination}", n=len(meant)),
            "leaking": Measurement(sum(one.leaked > 0 for one in meant), "{combination}", n=len(meant)),
        },
        (Table("Combinations of streams", ("present", "occurs in the run", "found"), rows),),
    )


def _missing(one: Combination, found: list[Combination]) -> str:
    return " and ".join(name for name in found[0].present if name not in one.present)


def _said(one: Combination) -> str:
    if one.refused:
        return f"refused ({one.refused})"
    if one.broken:
        return f"not finite: {', '.join(one.broken)}"
    return f"absent streams change answers by {one.leaked:.2g}" if one.leaked else ""


@fault(toy="multimodal_attention")
def divided_by_no_steps(subject: Subject) -> Subject:
    """The mean over a stream is divided by the number of its real steps, which may be zero."""

    def change(model: nn.Module) -> nn.Module:
        def hook(_: nn.Module, given: tuple[dict[str, Tensor]], logits: Tensor) -> Tensor:
            x, mask = given[0]["audio"], given[0]["audio_mask"].unsqueeze(-1)
            return logits + 0.1 * (x.masked_fill(~mask, 0.0).sum(1) / mask.sum(1)).mean(-1, keepdim=True)

        model.register_forward_hook(hook)
        return model

    return subject.map_model(change)


@fault(toy="multimodal_attention")
def absent_stream_still_read(subject: Subject) -> Subject:
    """A stream without any real step is read as if all of it were there."""

    def change(model: nn.Module) -> nn.Module:
        inner: Any = type(model).forward

        def forward(self: Any, batch: dict[str, Tensor]) -> Tensor:
            masks = {name: mask | ~mask.any(1, keepdim=True) for name, mask in batch.items() if name.endswith("_mask")}
            return inner(self, {**batch, **masks})

        model.forward = forward.__get__(model)  # type: ignore[assignment]
        return model

    return subject.map_model(change)
