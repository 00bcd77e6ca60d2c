"""Requirements against what is installed."""

import sys
from pathlib import Path
from typing import Any

import pytest

from gonogo.checks.environment import packages as module
from gonogo.checks.environment.packages import packages
from gonogo.core.measurement import Observation
from gonogo.errors import SubjectError
from gonogo.training.session import Session
from gonogo.training.subject import Subject

INSTALLED = {"alpha": "2.1.0+cpu", "beta_core": "1.0rc1", "gamma": "3.0", "relic": "2013-banana"}
NEEDED = {"alpha": ["gamma>=4", "beta-core; extra == 'more'", "delta"], "gamma": []}


@pytest.fixture(autouse=True)
def other_world(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        known = {key.replace("_", "-"): value for key, value in INSTALLED.items()}
        if name.lower().replace("_", "-") not in known:
            raise module.metadata.PackageNotFoundError(name)
        return known[name.lower().replace("_", "-")]

    monkeypatch.setattr(module.metadata, "version", version)
    monkeypatch.setattr(module.metadata, "requires", lambda name: NEEDED.get(name))
    monkeypatch.setattr(module.metadata, "packages_distributions", lambda: {"alpha": ["alpha"], "gamma": ["gamma"]})


def ask(given: Any) -> Observation:
    return packages(Session(Subject("s", requirements=given)))


@pytest.mark.parametrize(
    ("line", "drift"),
    [
        ("alpha==2.1.0", 0),
        ("Alpha[more]>=2,<3", 0),
        ("alpha==2.0.*", 1),
        ("beta-core>=0.9", 0),
        ("beta.core==1.0", 1),
        ("relic==2013", 1),
        ("relic", 0),
        ("missing", 1),
        ("missing; sys_platform == 'no-such-system'", 0),
        ("missing; extra == 'dev'", 0),
        ("gamma @ https://example.org/gamma.whl", 0),
        ("", 0),
        ("# only words", 0),
        ("--extra-index-url https://example.org", 0),
        ("-e .", 0),
        ("gamma==3.0 --hash=sha256:00", 0),
    ],
)
def test_one_line(line: str, drift: int) -> None:
    assert ask([line]).measurements["drift"].value == drift


def test_the_table_says_what_was_required_and_what_is_there() -> None:
    assert ask(["gamma>=9", "missing"]).tables[0].rows == (("gamma", ">=9", "3.0"), ("missing", "any", "not installed"))


def test_a_file_is_read_with_the_files_it_includes(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("gamma==2  # old\n")
    (tmp_path / "run.txt").write_text("-r base.txt\nalpha==2.1.0 \\\n    --hash=sha256:00\n-c limits.txt\n")
    found = ask(tmp_path / "run.txt").measurements["drift"]
    assert (found.value, found.n) == (1, 2)


def test_the_dependencies_of_a_pyproject_file_count(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\ndependencies = ["gamma>=4", "alpha"]\n')
    assert ask(str(tmp_path / "pyproject.toml")).measurements["drift"].value == 1


def test_a_line_that_is_no_requirement_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_text("alpha\ntorch=2.1\n")
    with pytest.raises(SubjectError, match=r"run\.txt, line 2: 'torch=2\.1' is no requirement"):
        ask(tmp_path / "run.txt")
    with pytest.raises(SubjectError, match=r"gone\.txt cannot be read"):
        ask(tmp_path / "gone.txt")


def test_only_contradictions_between_imported_packages_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(()).measurements["broken"].value == 0
    monkeypatch.setitem(sys.modules, "alpha", sys)
    assert ask(()).measurements["broken"].value == 0
    monkeypatch.setitem(sys.modules, "gamma", sys)
    found = ask(())
    assert found.measurements["broken"].value == 1
    assert found.tables[1].rows == (("gamma (for alpha)", ">=4", "3.0"),)
