"""A loss on log-probabilities wants log-probabilities."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation
from gonogo.errors import NotApplicable
from gonogo.instruments.loss.interception import Call, class_scores, has_logarithm, recorded
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    explains=("learning.", "gradient.", "model.initial-loss", "loss."),
    criteria=[at_most("excess", warn=0.01, fail=0.1, source="ours: log_softmax leaves 1e-6, raw scores ln C or more")],
    since="0.1",
)
def raw_scores(session: Session, *, batches: int = 2) -> Observation:
    """nll_loss gets log-probabilities | nll_loss gets raw scores

    What: watches what goes into nll_loss and kl_div. `excess` is the largest distance of log(sum(exp(input))) from 0,
        where it is for log-probabilities, among inputs that cannot be any: values above 0, made without a logarithm.
    Why: nll_loss only picks the entry of the label. Of raw scores it can be made as negative as one likes, by making
        all scores grow: the loss falls without end and the model learns nothing.
    Fix: cross_entropy for scores, or log_softmax before nll_loss; kl_div takes the logarithm of the model's
        distribution first and the target's distribution second.
    Shapes: input (batch, classes, ...).
    Units: excess: nats.
    Source: pytorch.org NLLLoss and KLDivLoss; ours. Weighted logarithms (focal losses, mixtures, rewards) are right.
    """
    model = session.copy_model()
    gaps: list[float] = []
    for batch in session.batches("train", limit=batches):
        for call in recorded(session, model, batch, training=True)[0]:
            if call.name in ("nll_loss", "kl_div"):
                gaps.append(float(class_scores(call).float().logsumexp(-1).abs().max()) if _is_raw(call) else 0.0)
    if not gaps:
        raise NotApplicable("the loss calls neither nll_loss nor kl_div")
    return Observation({"excess": Measurement(max(gaps), "nat", n=len(gaps))})


def _is_raw(call: Call) -> bool:
    return call.input.requires_grad and not has_logarithm(call.input) and bool((call.input.detach() > 1e-3).any())


@fault()
def scores_into_nll(subject: Subject) -> Subject:
    """cross_entropy was replaced by nll_loss, without a log_softmax."""
    return subject.map_loss(lambda loss: lambda model, batch: _without_softmax(loss, model, batch))


def _without_softmax(loss: Callable[..., Tensor], model: nn.Module, batch: Any) -> Tensor:
    original = functional.cross_entropy
    functional.cross_entropy = lambda scores, target, **options: functional.nll_loss(scores, target)
    try:
        return loss(model, batch)
    finally:
        functional.cross_entropy = original
