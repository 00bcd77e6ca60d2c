import pytest
from junitparser import JUnitXml, Properties

from gonogo.core.measurement import Measurement, Observation
from gonogo.core.report import Failure, Outcome
from gonogo.testing import pytest_checks

pytest_plugins = ["pytester"]
PLUGIN = ("-p", "no:gonogo", "-p", "gonogo.testing.pytest_plugin", "-p", "no:cacheprovider")  # installed or not
PROFILE = """
select: [model.nonfinite-values, model.initial-loss, loss, data.order, data.split-overlap, evaluation.baselines]
ignore: [loss.broadcast, loss.label-range, loss.probabilities, loss.reduction, loss.target-sensitivity]
required: [data.split-overlap]
waivers: [{check: loss.raw-scores, reason: we know, until: 2999-01-01}]
"""


def seen(**numbers):
    return Outcome(observation=Observation({name: Measurement(value) for name, value in numbers.items()}))


OUTCOMES = {
    "model.nonfinite-values": seen(nonfinite=0.0),
    "data.order": seen(variety=0.1),
    "model.initial-loss": seen(ratio_to_chance=1.0, ratio_to_prior=1.0),
    "loss.direction": seen(all_reversed=1.0, reversed_terms=1.0, unbounded=0.0, dead_terms=0.0),
    "loss.raw-scores": seen(excess=1.0),
    "loss.extreme-values": Outcome(failure=Failure("RuntimeError: no kernel, password=hunter2secret")),
    "loss.term-balance": Outcome(not_applicable="the loss has one term"),
}
MEASURED: list[str] = []


class Instant:
    """A worker that has measured already; neither a validation split nor an evaluation is given."""

    def __init__(self, request):
        self.hello = {"plugins": '{"checks": []}', "provides": ["model", "loss", "optimizer", "train-split"]}
        MEASURED[:] = ["start"]

    def start(self):
        pass

    def measure(self, step, seconds):
        MEASURED.append(step.check.id)
        return OUTCOMES[step.check.id]

    def close(self):
        MEASURED.append("close")


@pytest.fixture
def checks(pytester, monkeypatch):
    """Run pytest with the checks of a subject whose outcomes are known."""
    monkeypatch.setattr(pytest_checks, "Workers", Instant)
    pytester.makefile(".yaml", little=PROFILE)
    pytester.makepyfile("def test_of_the_project(): pass")
    subject = ("--gonogo", "a:subject", "--gonogo-profile", "little.yaml")
    return lambda *words: pytester.runpytest_inprocess(*PLUGIN, *subject, *words)


def test_every_planned_check_is_an_item_with_its_own_outcome(checks):
    done = checks("-v")
    done.stdout.fnmatch_lines_random(
        [
            "*::test_of_the_project PASSED*",
            "gonogo::model.nonfinite-values PASSED*",
            "gonogo::data.order PASSED*",  # with a warning
            "gonogo::loss.direction FAILED*",
            "gonogo::loss.extreme-values ERROR*",
            "gonogo::loss.raw-scores SKIPPED (waived: we know*",
            "gonogo::loss.term-balance SKIPPED (the loss has one term)*",
            "gonogo::evaluation.baselines SKIPPED*",
            "gonogo::data.split-overlap ERROR*",  # required, and did not run: unknown is not ready
        ]
    )
    done.assert_outcomes(passed=4, failed=1, errors=2, skipped=3)
    assert MEASURED[-1] == "close"


def test_a_failure_says_what_was_found_what_was_expected_and_what_to_do(checks):
    text = checks("-k", "loss.direction").stdout.str()
    assert "all_reversed: 1, expected" in text
    assert "Fix: " in text
    assert "Traceback" not in text
    assert "pytest_checks.py" not in text


def test_an_error_says_what_happened_without_secrets(checks):
    text = checks("-k", "extreme-values").stdout.str()
    assert "RuntimeError: no kernel" in text
    assert "hunter2" not in text


def test_a_warning_stands_in_the_summary_and_fails_nothing_even_under_strict_warnings(checks):
    done = checks("-W", "error", "-k", "data.order")
    done.stdout.fnmatch_lines(["*gonogo: passed with a warning*", "data.order: *variety*"])
    assert done.ret == 0


def test_only_what_is_selected_is_measured(checks):
    checks("-k", "initial-loss").assert_outcomes(passed=1, deselected=9)
    assert MEASURED == ["start", "model.initial-loss", "close"]


def test_the_marker_selects_the_checks_among_all_tests(checks):
    checks("-m", "gonogo", "--collect-only", "-q").stdout.no_fnmatch_line("*test_of_the_project*")
    assert MEASURED == ["start", "close"]


def test_measuring_stops_at_the_first_failure_when_asked(checks):
    checks("-x", "-k", "loss.direction or baselines or initial-loss")
    assert "evaluation.baselines" not in MEASURED


def test_junit_has_the_measurements(checks, pytester):
    checks("--junit-xml=junit.xml", "-k", "data.order")
    xml = JUnitXml.fromfile(str(pytester.path / "junit.xml"))
    (case,) = next(iter(xml))
    assert {item.name: item.value for item in case.child(Properties)}["variety"] == "0.1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gonogo", "nothing.py:here"), "there is no file nothing.py"),
        (("--gonogo", "a:b", "--gonogo-profile", "standrad"), "Did you mean 'standard'"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(pytester, words, said):
    done = pytester.runpytest_inprocess(*PLUGIN, *words)
    assert done.ret == pytest.ExitCode.INTERRUPTED
    assert said in done.stdout.str()
    assert "Traceback" not in done.stdout.str()


@pytest.mark.slow
def test_a_real_subject_is_measured_by_a_real_worker(pytester):
    subject = ("--gonogo", "gonogo.testing.toys:classifier", "--gonogo-profile", "quick")
    done = pytester.runpytest_subprocess(*PLUGIN, *subject, "-k", "initial-loss or nonfinite")
    assert done.parseoutcomes()["passed"] >= 2
    assert done.ret == 0


def test_without_the_option_nothing_of_gonogo_but_two_files_is_imported(pytester):
    pytester.makepyfile(
        """
        import sys

        def test_loaded():
            loaded = {name for name in sys.modules if name.partition(".")[0] in ("gonogo", "torch", "pydantic")}
            assert loaded == {"gonogo", "gonogo.testing", "gonogo.testing.pytest_plugin"}
        """
    )
    pytester.runpytest_subprocess(*PLUGIN, "-p", "no:jaxtyping").assert_outcomes(passed=1)
