"""A published parameter count can be counted."""

import re

import torch
from torch import nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import SubjectError
from gonogo.training.session import Session
from gonogo.training.subject import Subject

_SCALES = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}


@check(
    needs={C.MODEL, C.PARAMETER_CLAIM},
    effort=Effort.READ,
    criteria=[at_most("deviation", fail=1, source="ours: a stated number promises half of its last digit")],
    since="0.1",
)
def parameter_count(session: Session) -> Observation:
    """The parameter count is as claimed | The parameter count is not as claimed

    What: builds the model on the meta device (no memory is taken) and counts parameters, shared ones once. `deviation`
        is the distance from the claim in units of what the claim itself allows: half of its last significant digit.
    Why: a count that is off means that another model is built than the one described: a default that was not
        overwritten, a branch that is switched off, layers that nobody calls.
    Fix: compare the table by part with your description; look for configuration keys that do not arrive.
    Shapes: any.
    Units: deviation: 1; parameters: parameters.
    Source: ours; trailing zeros of an integer are not significant: 13140000000 allows 5 million either way.
    """
    counts = _counts(session)
    claimed, allowed = understood(session.claims.parameters or 0)
    total = sum(counts.values())
    return Observation(
        {
            "deviation": Measurement(abs(total - claimed) / allowed),
            "parameters": Measurement(total, "{parameter}"),
            "claimed": Measurement(claimed, "{parameter}"),
        },
        (Table("Parameters by part", ("part", "parameters"), tuple(counts.items())),),
    )


def understood(claim: int | str) -> tuple[float, float]:
    """(number, half of its last significant digit) of claims such as 4860691, 13_140_000_000, "13.1B" or "85 M".

    Raises:
        SubjectError: It is no number.
    """
    match = re.fullmatch(r"([0-9]+)(?:\.([0-9]+))?\s*([kmbgt]?)", str(claim).replace("_", "").replace(",", "").lower())
    if not match:
        raise SubjectError(f"Claims(parameters={claim!r}): a count such as 4860691 or '13.1B' was expected")
    whole, decimals, scale = match[1], match[2] or "", _SCALES[match[3]]
    digits = whole + decimals
    last = scale / 10 ** len(decimals)
    if not decimals and not match[3]:
        last *= 10 ** (len(digits) - len(digits.rstrip("0"))) if digits.strip("0") else 1
    return int(digits) * scale / 10 ** len(decimals), last / 2


def _counts(session: Session) -> dict[str, int]:
    try:
        with torch.device("meta"):
            model = session.subject._given("model")()
    except (NotImplementedError, RuntimeError, SubjectError):  # reads its weights, or computes, while it is built
        model = session.build_model()
    counts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        part = name.split(".")[0]
        counts[part] = counts.get(part, 0) + parameter.numel()
    return counts


@fault()
def one_layer_more(subject: Subject) -> Subject:
    """The model has a layer that the claim does not count."""
    return subject.map_model(lambda model: nn.Sequential(model, nn.Identity(), nn.PReLU()))


@fault()
def claim_of_another_model(subject: Subject) -> Subject:
    """The claim is that of a model of twice the size."""
    return subject.with_claims(parameters="13.14B")
