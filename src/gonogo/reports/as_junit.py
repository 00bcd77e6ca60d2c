"""The report as JUnit XML, for build servers.

A build server shows `skipped` as harmless, so a required check that did not run is an `error`.
"""

from xml.etree import ElementTree as ET

from gonogo.core.criterion import Status
from gonogo.core.report import Report, Result
from gonogo.reports import wording
from gonogo.reports.clean import clean
from gonogo.reports.rows import by_category, rows
from gonogo.reports.wording import State


def render(report: Report) -> str:
    """One test suite per category, one test case per check, the measurements as properties."""
    report = clean(report)
    root = ET.Element("testsuites", {"name": "gonogo", **_counts(report.results, report.seconds)})
    for category, results in by_category(report).items():
        seconds = sum(result.seconds for result in results)
        suite = ET.SubElement(root, "testsuite", {"name": category, **_counts(results, seconds)})
        if report.started:
            suite.set("timestamp", report.started)
        _add_properties(suite, _about(report))
        for result in results:
            suite.append(_case(result, category))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _counts(results: tuple[Result, ...], seconds: float) -> dict[str, str]:
    tags = [tag(result) for result in results]
    names = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    counts = {name: str(tags.count(tag)) for name, tag in names.items()}
    return {"tests": str(len(results)), **counts, "time": f"{seconds:.3f}"}


def tag(result: Result) -> str:
    """`failure`, `error` or `skipped`; empty where the check passed, with a warning or without."""
    state = wording.state(result)
    if state is State.SKIP:
        return "error" if result.closes_gate else "skipped"
    return {State.FAIL: "failure", State.ERROR: "error", State.WAIVED: "skipped"}.get(state, "")


def _case(result: Result, category: str) -> ET.Element:
    case = ET.Element("testcase", classname=f"gonogo.{category}", name=result.id, time=f"{result.seconds:.3f}")
    _add_properties(case, properties(result))
    kind = tag(result)
    if kind:
        ET.SubElement(case, kind, type=_type(result), message=message(result)).text = body(result)
    elif result.status is Status.WARN:
        ET.SubElement(case, "system-out").text = f"WARN: {result.title}\n{body(result)}"
    return case


def _add_properties(parent: ET.Element, named: dict[str, str]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in named.items():
        ET.SubElement(properties, "property", name=name, value=value)


def _about(report: Report) -> dict[str, str]:
    about = {"verdict": report.verdict.value, "subject": report.subject, "proxy": report.proxy}
    about["profile"] = str(report.profile.get("name", ""))
    return {name: value for name, value in about.items() if value}


def properties(result: Result) -> dict[str, str]:
    """The measurements with their units and limits."""
    found = {"title": wording.title(result), "evidence": result.evidence.value, "effort": result.effort.name.lower()}
    for row in rows(result):
        value, unit = row.measurement.value, row.measurement.unit
        found[row.name] = row.measurement.non_finite if value is None else repr(value)
        found[f"{row.name}.unit"] = unit
        if row.criterion:
            found[f"{row.name}.limit"] = row.limit
    return found


def _type(result: Result) -> str:
    if wording.state(result) is State.WAIVED:
        return "waived"
    return result.skip.value if result.skip else result.status.name.lower()


def message(result: Result) -> str:
    """The same in one line."""
    waived = wording.state(result) is State.WAIVED
    return f"waived: {result.waived}" if waived else f"{wording.title(result)}: {result.reason}"


def body(result: Result) -> str:
    """What was found, what was expected and what to do, a line each."""
    lines = [result.reason]
    lines += [f"{row.name}: {row.measured}, expected {row.limit} [{row.source}]" for row in rows(result) if row.status]
    lines += [f"Fix: {fix}"] if (fix := wording.fix(result)) else []
    lines += [result.failure.stderr] if result.failure and result.failure.stderr else []
    return "\n".join(lines)
