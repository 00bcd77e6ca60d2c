"""A run that needs more days than there are ends unfinished."""

from dataclasses import replace

from gonogo.core.capability import Capability as C
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import Status, at_least
from gonogo.core.measurement import Observation
from gonogo.errors import NotApplicable
from gonogo.sizing import observe_time
from gonogo.sizing.answer import size
from gonogo.sizing.costs import devices
from gonogo.sizing.programs.program import of_subject
from gonogo.sizing.strategies import named as strategies
from gonogo.training.session import Session
from gonogo.training.subject import Subject


@check(
    needs={C.MODEL, C.LOSS, C.OPTIMIZER, C.TRAIN},
    effort=Effort.FIT,
    after=("sizing.memory-headroom",),
    criteria=[at_least("share", warn=1.0, source="the claimed days; predicted rates are uncertain by a quarter")],
    since="0.4",
)
def time_budget(session: Session) -> Observation:
    """The run ends within its time | The run takes longer than there is time

    What: counts the FLOPs and bytes of every kernel of one traced step and times them by the device's rates (roofline),
        with exchanges between devices and transfers to the host. `share` is what part of the planned steps fits into
        the claimed days; `step`, `throughput` and `utilisation` say how it comes about.
    Why: a plan that needs ten times its days is found out in the first hour, or at the deadline.
    Fix: fewer tokens, more or faster devices, a smaller model; `gonogo size SUBJECT --gpu DEVICE` prints the parts of a
        step. Calibrated on the device itself the interval narrows.
    Shapes: the first training batch.
    Units: share, utilisation: 1; step: s; hours: h; throughput: tokens (rows, where there are none) per second.
    Source: S. Williams, A. Waterman, D. Patterson, Roofline, CACM 52 (2009).
    """
    claims = session.claims
    if not (claims.devices and claims.days and claims.total_steps):
        raise NotApplicable("no plan is claimed: give Claims(devices='2xA5000', days=28, total_steps=100_000)")
    [(count, device), *_] = devices.parse(claims.devices)
    sizing = size(of_subject(session), device, count, strategies.parse(claims.strategies, count))
    return observe_time.time(sizing, tokens=claims.total_steps * sizing.tokens * count, days=claims.days)


@fault(expect=Status.WARN)
def a_century_in_an_hour(subject: Subject) -> Subject:
    """Ten to the twelfth steps are planned for an hour of one small card."""
    return replace(subject, claims=replace(subject.claims, devices="1xT4", days=0.04, total_steps=10**12))
