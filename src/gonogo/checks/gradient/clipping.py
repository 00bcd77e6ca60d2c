"""Clipping must cut to the norm that is said, keep the direction, and leave small gradients alone."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_most, within
from gonogo.core.measurement import Measurement, Observation, Table
from gonogo.errors import NotApplicable
from gonogo.instruments.step.clipping import Answer, answers, faint
from gonogo.training.session import Session
from gonogo.training.settings import Setting, number, only, read, replaced, settings
from gonogo.training.subject import Subject

SMALL, LARGE = 0.1, (4.0, 1e3)  # norms that arrive, in limits
OTHERS = (0.1, 1.0, 5.0)  # limits that are tried where another configuration can be built
_EXACT = "ours: cut norms agree with the limit to six digits; what is left alone, to all"


@check(
    needs={C.MODEL, C.OPTIMIZER, C.TRAIN, C.STEP},
    effort=Effort.FIT,
    after=("model.nonfinite-values", "optimizer.steps", "gradient.carried-over", "gradient.clip-order"),
    criteria=[
        within("norm_at_limit", warn=(0.5, 1.0001), source="the stated norm; a clip over more weights leaves less"),
        at_most("turned", warn=1e-4, source=_EXACT),
        at_most("touched", warn=1e-4, source=_EXACT),
    ],
    since="0.5",
)
def clipping(session: Session) -> Observation:
    """Gradients are clipped to the stated norm | Gradients are not clipped to the stated norm

    What: multiplies arriving gradients so that their norm is a tenth, four times and a thousand times the limit of
        Claims(max_norm), or of the configuration, and looks at what the optimizer holds at its step. `norm_at_limit` is
        the norm of large gradients there over the limit (the one that is furthest off), `turned` is one minus the
        cosine with what arrived, `touched` the relative change of the small ones. Where another configuration can be
        built, limits of 0.1, 1 and 5 are tried as well.
    Why: clipping each element turns the gradient, clipping each tensor lets a model of a hundred tensors take steps ten
        times as long, and a gradient that is always scaled to the limit never comes to rest.
    Fix: torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm) once, over all parameters, before the step.
    Shapes: any.
    Units: norm_at_limit, turned, touched: 1.
    Source: R. Pascanu et al., On the difficulty of training recurrent neural networks (2013).
    """
    setting, limit = _limit(session)
    arriving = faint(session)
    small, *large = answers(session, arriving, limit, (SMALL, *LARGE))
    if session.claims.max_norm is None and large[-1].by_element:
        raise NotApplicable("the step clips each element, and the configuration does not say that it is the norm")
    tried = [*large, *_others(session, setting, arriving)]
    ratios = [_beyond(one.held / one.limit, 1.0, one) for one in tried]
    found = {
        "norm_at_limit": max(ratios, key=lambda ratio: abs(ratio - 1)),
        "turned": max(_beyond(one.turned, 0.0, one) for one in tried),
        "touched": _beyond(small.changed, 0.0, small),
    }
    columns = ("limit", "norm that arrives", "norm at the step", "largest element", "turned")
    return Observation(
        {name: Measurement(value, n=len(tried)) for name, value in found.items()},
        (Table("What becomes of gradients", columns, tuple(one.row() for one in (small, *tried))),),
    )


def _limit(session: Session) -> tuple[Setting | None, float]:
    """The setting that holds the limit, if it is in the configuration, and the limit that is stated."""
    config = session.subject.config
    setting = None if config is None else only(settings(read(config)), "norm")
    limit = session.claims.max_norm or (number(setting.value) if setting else None)
    if not limit or limit <= 0:
        raise NotApplicable("no limit is stated: give Claims(max_norm=...) if gradients are clipped")
    return setting, limit


def _others(session: Session, setting: Setting | None, arriving: Tensor) -> Iterator[Answer]:
    """Answers of the run with other limits in its configuration, as far as the time goes."""
    build = session.subject.with_config
    if setting is None or build is None:
        return
    for limit in OTHERS:
        if session.seconds_left < 0:
            return
        subject = build(replaced(read(session.subject.config), setting.keys, limit))
        other = Session(subject, needs=session.needs, device=session.device, seed=session.seed)
        other.deadline = session.deadline
        yield from answers(other, arriving, limit, LARGE[1:])


def _beyond(value: float, wanted: float, one: Answer) -> float:
    """The value, or what is wanted where the precision of the weights explains the difference."""
    return wanted if abs(value - wanted) <= one.rounding else value


def _stepping(subject: Subject, change: Callable[[nn.Module], object]) -> Subject:
    """A run that claims a norm of one, and does something else."""

    def step(model: nn.Module, optimizer: Any, batch: Any) -> float:
        optimizer.zero_grad()
        loss = subject._given("loss")(model, batch)
        loss.backward()
        change(model)
        optimizer.step()
        return float(loss.detach())

    return replace(subject, step=step).with_claims(max_norm=1.0)


@fault(expect=Status.WARN)
def each_element_is_clipped(subject: Subject) -> Subject:
    """clip_grad_value_ stands where clip_grad_norm_ is meant."""
    return _stepping(subject, lambda model: nn.utils.clip_grad_value_(model.parameters(), 1.0))


@fault(expect=Status.WARN, toy="regressor")
def each_tensor_is_clipped(subject: Subject) -> Subject:
    """Every parameter is clipped for itself."""
    return _stepping(subject, lambda model: [nn.utils.clip_grad_norm_([p], 1.0) for p in model.parameters()])


@fault(expect=Status.WARN, toy="seq2seq")
def always_scaled(subject: Subject) -> Subject:
    """Gradients are always scaled to the limit, small ones too."""

    def scale(model: nn.Module) -> None:
        held = [p.grad for p in model.parameters() if p.grad is not None]
        norm = float(nn.utils.get_total_norm(held))
        for gradient in held:
            gradient.div_(norm)

    return _stepping(subject, scale)


@fault(expect=Status.WARN, toy="configured")
def another_limit(subject: Subject) -> Subject:
    """The configuration says five, and the step clips to one."""
    clipped = _stepping(subject, lambda model: nn.utils.clip_grad_norm_(model.parameters(), 1.0))
    return clipped.with_claims(max_norm=None)
