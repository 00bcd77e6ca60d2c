"""Before training a classifier should know nothing, and know that it knows nothing."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_least, within
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.loss.interception import CLASS_LOSSES, Call, recorded
from gonogo.training import seeding
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_BINARY = "binary_cross_entropy_with_logits"
_SHAPES = ("View", "Reshape", "UnsafeView", "Transpose", "Permute", "T", "Squeeze", "Unsqueeze", "Slice", "Select")
_SHAPES += ("Index", "Clone", "ToCopy", "Alias", "Expand", "MaskedSelect", "IndexSelect", "LogSoftmax")
_PRODUCTS = {"Addmm": 2, "Mm": 1, "Convolution": 1, "Linear": 1}  # and the place of the weight among what goes in


@check(
    needs={C.MODEL, C.LOSS, C.TRAIN},
    effort=Effort.STEP,
    after=("model.nonfinite-values",),
    criteria=[
        within(
            "ratio_to_chance",
            warn=(0.0, 3.0),
            source="calibrated: clean programs reach 2.7 (inputs of scale 12); a head of standard deviation 3 gets 6.7",
        ),
        at_least("ratio_to_prior", warn=0.05, source="ours: no initial weights know the answer so well"),
    ],
    since="0.1",
)
def initial_loss(session: Session, *, batches: int = 4) -> Observation:
    """The initial loss is that of guessing | The initial loss is not that of guessing

    What: observes the calls of cross_entropy, nll_loss and binary_cross_entropy_with_logits inside the loss of the
        untrained model, so weights, smoothing and other terms do not matter. `ratio_to_chance` is their mean divided by
        ln C, the loss of a guess among C classes; `ratio_to_prior` the mean divided by the entropy of the labels.
        Left out are calls whose targets are places in the batch (contrastive losses) or all alike (adversarial ones),
        and for ratio_to_chance scores that come from no linear or convolutional layer of their own: similarities,
        mixtures of experts, heads tied to an embedding.
    Why: far above one, the head starts with confident wrong answers and the first steps only shrink it. Near zero
        before any training, the answer is visible in the input.
    Fix: above: initialise the last layer with a small standard deviation, look for a missing scale or a double
        logarithm. Near zero: look for the target among the inputs (unshifted tokens, a label column). Negative: raw
        scores went into nll_loss. A pretrained head may start far below one for good reasons.
    Shapes: logits (batch, C, ...), targets (batch, ...).
    Units: ratio_to_chance, ratio_to_prior: 1.
    Source: A. Karpathy, A Recipe for Training Neural Networks (2019), "verify loss at init".
    """
    model = session.copy_model()
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    rows: list[tuple[float, int, float, bool]] = []
    for batch in session.batches("train", limit=batches):
        seed = seeding.derive(session.seed, "initial loss", len(rows))
        for call in recorded(session, model, batch, seed, training=True)[0]:
            known = _losses(call)
            if known:
                rows.append((*known, _is_own_head(call.input, tables)))
    if not rows:
        raise NotApplicable("the loss calls no cross-entropy on class logits, so there is no loss of guessing")
    prior = sum(min(entropy, math.log(classes)) for _, classes, entropy, _ in rows)
    measured = {"ratio_to_prior": Measurement(sum(loss for loss, *_ in rows) / prior, n=len(rows))}
    ratios = [loss / math.log(classes) for loss, classes, _, judged in rows if judged]
    if ratios:
        measured["ratio_to_chance"] = Measurement(sum(ratios) / len(ratios), n=len(ratios))
    shown = tuple((i, loss, classes, math.log(classes), entropy) for i, (loss, classes, entropy, _) in enumerate(rows))
    columns = ("call", "loss", "classes", "loss of guessing", "entropy of the labels")
    return Observation(measured, (Table("Cross-entropy before training", columns, shown),))


@torch.no_grad()
def _losses(call: Call) -> tuple[float, int, float] | None:
    """(plain mean loss, classes, entropy of the labels), None where the labels are no labels of a classifier."""
    if call.name == _BINARY:
        target = call.target.float()
        share = target.reshape(len(target), -1).mean(0) if target.dim() > 1 else target.mean().reshape(1)
        entropy = float((torch.special.entr(share) + torch.special.entr(1 - share)).mean())
        plain = nn.functional.binary_cross_entropy_with_logits(call.input.float(), target)
        return (float(plain), 2, entropy) if entropy > 0 else None
    if call.name not in CLASS_LOSSES or call.result is None or call.target.is_floating_point() or call.classes < 2:
        return None
    labels = call.target[call.target != call.ignore_index]
    count = torch.bincount(labels.clamp(min=0)) if len(labels) else labels
    if (count > 0).sum() < 2 or bool((labels.diff() == 1).all()):  # one label, or places: 0, 1, 2, ...
        return None
    function = getattr(nn.functional, call.name)
    plain = function(call.input.float(), call.target, ignore_index=call.ignore_index)
    return float(plain), call.classes, float(torch.special.entr(count / count.sum()).sum())


def _is_own_head(scores: Tensor, tables: set[int]) -> bool:
    """Are the scores what a layer gives whose weight is a parameter, and no embedding?"""
    node: Any = scores.grad_fn
    while node is not None:
        name = node.name().split("Backward")[0]
        inputs = [following for following, _ in node.next_functions]
        if name in _PRODUCTS:
            weight = inputs[_PRODUCTS[name]]
            while weight is not None and weight.name().split("Backward")[0] in _SHAPES:
                weight = weight.next_functions[0][0]
            variable = getattr(weight, "variable", None)
            return variable is not None and id(variable) not in tables
        biases = [one for one in inputs if hasattr(one, "variable")]
        if name not in _SHAPES and not (name == "Add" and len(biases) == 1):
            return False
        node = next((one for one in inputs if one not in biases), None)
    return False


@fault(expect=Status.WARN)
def large_head(subject: Subject) -> Subject:
    """The last layer starts a hundred times too large."""

    def change(model: nn.Module) -> nn.Module:
        layers = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
        for weight in [one for one in layers if len(one) == subject.claims.classes] or layers[-1:]:
            weight.data.mul_(100.0)
        return model

    return subject.map_model(change)


@fault(expect=Status.WARN)
def answer_in_input(subject: Subject) -> Subject:
    """The logits are the answer, before any training."""

    class Oracle(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is nn.functional.cross_entropy:
                logits, target = args[0], args[1]
                args = (logits + 20 * nn.functional.one_hot(target, logits.shape[1]).to(logits.dtype), *args[1:])
            return func(*args, **(kwargs or {}))

    def leaking(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def leaked(model: nn.Module, batch: Any) -> Tensor:
            with Oracle():
                return loss(model, batch)

        return leaked

    return subject.map_loss(leaking)
