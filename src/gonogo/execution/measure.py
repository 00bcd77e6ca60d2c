"""One check on one session -> what came of it. User code runs here: anything may be raised."""

import resource
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gonogo.core import catalogue
from gonogo.core.check import Check, Effort
from gonogo.core.measurement import Evidence, Observation
from gonogo.core.report import Failure, Outcome
from gonogo.errors import CheckError, GonogoError, NotApplicable
from gonogo.execution import second_look
from gonogo.training import blame, fingerprint, seeding
from gonogo.training.session import Session


class Bench:
    """Measures checks one after the other: READ and STEP checks share a session, each FIT check gets a fresh one."""

    def __init__(self, shared: Session) -> None:
        self.shared = shared
        self._runs: bool | None = None  # does the program run by itself? Asked when a check meets an exception

    def measure(self, check: Check, params: Mapping[str, Any], seconds: float) -> Outcome:
        """The outcome of a check; never raises but for KeyboardInterrupt."""
        fitting = check.effort is Effort.FIT
        session = (self.shared.fresh if fitting else self.shared.narrowed)(check.needs, seconds)
        started = time.perf_counter()
        before = {} if fitting else session.fingerprint()
        outcome = _attempt(session, check, params, self._runs_by_itself)
        if not fitting:
            self._keep(session)
            trace = fingerprint.changed(before, self.shared.fingerprint()) if before else []
            trace = [name for name in trace if name in before]  # parts that the check was the first to build are new
            if trace:
                outcome = Outcome(failure=_left_a_trace(trace)) if outcome.failure is None else outcome
                self.shared = self.shared.fresh(self.shared.needs, seconds)
        return _with_cost(outcome, session, check, time.perf_counter() - started)

    def _runs_by_itself(self) -> bool:
        if self._runs is None:
            self._runs = second_look.runs(self.shared)
        return self._runs

    def _keep(self, view: Session) -> None:
        # The view may have been the first to build the model; the next check must see the same one.
        self.shared._model, self.shared._optimizer = view._model, view._optimizer


def _attempt(session: Session, check: Check, params: Mapping[str, Any], runs: Callable[[], bool]) -> Outcome:
    try:
        with seeding.seeded(seeding.derive(session.seed, check.id)):
            observation = catalogue.implementation(check)(session, **params)
        if not isinstance(observation, Observation):
            raise CheckError(f"{check.id} returned {type(observation).__name__}; expected an Observation")
        return Outcome(observation=observation)
    except NotApplicable as reason:
        return Outcome(not_applicable=str(reason))
    except KeyboardInterrupt:
        raise
    except Exception as error:
        if "not supported on ScriptModules" in str(error):
            return Outcome(not_applicable="TorchScript modules take no hooks, so they cannot be watched")
        failure = describe(error)
        if blame.is_programs(error) and blame.passed_through(error) and runs():
            return Outcome(not_applicable=f"the program runs, but not under what this check does: {failure.message}")
        return Outcome(failure=failure)
    except BaseException as error:  # SystemExit from user code included
        return Outcome(failure=describe(error))


def describe(error: BaseException) -> Failure:
    """An exception in one line, with the place in the user's code that raised it."""
    text = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        text = f"the subject called sys.exit({error.code!r}) ({blame.origin(error)})"
    elif not isinstance(error, GonogoError):
        text = f"{type(error).__name__}{': ' if text else ''}{text} ({blame.origin(error)})"
    return Failure(text[:2000], traceback="".join(traceback.format_exception(error))[-8000:])


def _left_a_trace(names: list[str]) -> Failure:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return Failure(f"left a trace, changed: {', '.join(names[:5])}{more}")


def _with_cost(outcome: Outcome, session: Session, check: Check, seconds: float) -> Outcome:
    return replace(outcome, seconds=seconds, memory=peak_memory(), evidence=_evidence(outcome, session, check))


def _evidence(outcome: Outcome, session: Session, check: Check) -> Evidence:
    if outcome.observation is None:
        return Evidence.DECLARED
    if session.subject.proxy:
        return Evidence.PROXY
    if outcome.observation.evidence is not None:
        return outcome.observation.evidence
    return Evidence.READ if check.effort is Effort.READ else Evidence.SCALED


def peak_memory() -> int:
    """Peak resident memory of this process, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
