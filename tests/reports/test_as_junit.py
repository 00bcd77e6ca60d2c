import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from gonogo.core.plan import Skip
from gonogo.reports import as_junit


@pytest.fixture
def cases(no_go):
    xml = JUnitXml.fromstring(as_junit.render(no_go).encode())
    return {case.name: case for suite in xml for case in suite}


@pytest.mark.parametrize(
    ("check", "kind", "type"),
    [
        ("data.split-overlap", Failure, "fail"),
        ("evaluation.metric-agreement", Error, "error"),
        ("evaluation.baseline", Error, Skip.MISSING.value),  # required: a skip would not fail the build
        ("model.causality", Skipped, Skip.NOT_APPLICABLE.value),  # required, but it does not apply
        ("learning.data-order", Skipped, Skip.BLOCKED.value),
        ("config.unused-keys", Skipped, "waived"),
    ],
)
def test_a_result_becomes_the_element_that_build_servers_understand(cases, check, kind, type):
    (element,) = cases[check].result
    assert isinstance(element, kind)
    assert element.type == type
    assert element.message


def test_a_warning_passes_and_says_so(cases):
    case = cases["efficiency.memory"]
    assert case.is_passed
    assert case.system_out.startswith("WARN: Throughput is below the claim")


def test_a_measurement_is_a_property_with_limit_and_unit(no_go):
    text = as_junit.render(no_go)
    assert '<property name="shared" value="0.122" />' in text
    assert '<property name="shared.limit" value="at most 0 (fails above 0.01)" />' in text
    assert '<property name="near_duplicates.unit" value="{pair}" />' in text


def test_the_counts_of_the_suites_add_up(no_go):
    xml = JUnitXml.fromstring(as_junit.render(no_go).encode())
    assert (xml.tests, xml.failures, xml.errors, xml.skipped) == (15, 2, 2, 6)
    assert sum(suite.tests for suite in xml) == xml.tests
    assert sum(suite.errors for suite in xml) == xml.errors
