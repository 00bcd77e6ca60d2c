"""The checks of a subject as pytest items: measured one at a time, by one supervisor, when their turn comes."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from gonogo.core import judge
from gonogo.core.criterion import Status
from gonogo.core.plan import Plan, Skip, Step
from gonogo.core.profile import load_profile
from gonogo.core.redact import redact
from gonogo.core.report import Result, result_from_dict, result_to_dict
from gonogo.errors import GonogoError
from gonogo.execution import supervisor
from gonogo.execution.supervisor import Request, Workers
from gonogo.reports.as_junit import body, message, properties, tag
from gonogo.reports.clean import safe
from gonogo.reports.rows import examples
from gonogo.reports.wording import State, state

WARNING = "gonogo.warning"  # the property of an item that passed with one: it survives -n and reaches JUnit


class Checks:
    """The plug-in of one session."""

    def __init__(self, subject: str, profile: str) -> None:
        self._subject, self._profile = subject, profile
        self._planned: Planned | None = None

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Iterator[None]:
        """Put the checks behind what the session collects from files."""
        report: Any = yield
        if isinstance(collector, pytest.Session):
            self._planned = Planned.from_parent(
                collector, name="gonogo", nodeid="gonogo", subject=self._subject, profile=self._profile
            )
            report.result.append(self._planned)
        return report

    def pytest_unconfigure(self) -> None:
        """End the worker."""
        if self._planned:
            self._planned.close()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Name the warnings. They are no warnings of Python: `-W error` must not make failures of them."""
        passed = terminalreporter.getreports("passed")
        found = [text for report in passed for name, text in report.user_properties if name == WARNING]
        if found:
            terminalreporter.section("gonogo: passed with a warning")
            for text in dict.fromkeys(found):
                terminalreporter.line(text)


class Planned(pytest.Collector):
    """The checks that the profile selects, in the order of the plan."""

    def __init__(self, *, subject: str, profile: str, **rest: Any) -> None:
        super().__init__(**rest)
        self._subject, self._profile = subject, profile
        self._workers: Workers | None = None

    def collect(self) -> list[pytest.Item]:
        """An item for each; loads the subject, for only it can tell what applies."""
        try:
            request = Request(self._subject, load_profile(self._profile))
            self._workers = Workers(request)
            plan = supervisor.prepare(request, self._workers)
        except GonogoError as error:
            raise self.CollectError(f"--gonogo: {redact(str(error))}") from None
        run = supervisor.State(request.profile, time.monotonic())
        found = _measuring(plan, run, self._workers)
        return [Check.from_parent(self, name=name, measure=measure) for name, measure in found]

    def close(self) -> None:
        """End the worker."""
        if self._workers:
            self._workers.close()


class Check(pytest.Item):
    """One check: measured in its setup, where what cannot be measured is an error, and judged in its call."""

    def __init__(self, *, measure: Callable[[], Result], **rest: Any) -> None:
        super().__init__(**rest)
        self._measure, self._failure = measure, ""
        self.add_marker("gonogo")

    def setup(self) -> None:
        """Measure."""
        result = result_from_dict(safe(result_to_dict(self._measure())))
        self.user_properties += properties(result).items()
        found = "\n".join((message(result), body(result).partition("\n")[2], *examples(result)))
        kind = tag(result)
        if kind == "error":
            pytest.fail(found, pytrace=False)
        if kind == "skipped":
            pytest.skip(message(result) if state(result) is State.WAIVED else result.reason)
        if kind == "failure":
            self._failure = found
        if result.status is Status.WARN:
            self.user_properties.append((WARNING, f"{result.id}: {message(result)}"))

    def runtest(self) -> None:
        """Fail if the check did."""
        if self._failure:
            pytest.fail(self._failure, pytrace=False)

    def reportinfo(self) -> tuple[Any, None, str]:
        """What headings call it."""
        return self.path, None, f"gonogo {self.name}"


def _measuring(plan: Plan, run: supervisor.State, workers: Workers) -> Iterator[tuple[str, Callable[[], Result]]]:
    """(id, what gives its result) of every selected check; a plug-in that cannot be loaded is there as an error."""
    for step in plan.steps:
        if step.skip is not Skip.DESELECTED:
            yield step.check.id, partial(_measured, step, run, workers)
    for row in plan.broken:
        broken = judge.broken_row(row.id, row.error)
        yield broken.id, partial(_same, broken)


def _measured(step: Step, run: supervisor.State, workers: Workers) -> Result:
    result = run.done[step.check.id] = supervisor.one(step, run, workers)
    return result


def _same(result: Result) -> Result:
    return result
