"""The bank is what it says: complete programs, one branch for the mistake, and figures that add up."""

import ast
import contextlib
import importlib.util
import itertools
import sys
import warnings
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
FAULTS = sorted((BENCHMARKS / "faults").glob("[!_]*.py"))
CLEAN = sorted((BENCHMARKS / "clean").glob("[!_]*.py"))
NEEDED = {"model", "optimizer", "loss", "train_loader"}


def load(path: Path) -> ModuleType:
    name = f"bank_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def runner():
    return load(BENCHMARKS / "bench_faults.py")


@pytest.fixture(autouse=True)
def shared_parts(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS / "clean"))
    monkeypatch.syspath_prepend(str(BENCHMARKS / "faults"))


def one_step(built: dict) -> None:
    assert built.keys() >= NEEDED
    batch = next(iter(built["train_loader"]))
    if built.get("step"):
        built["step"](built["model"], built["optimizer"], batch)
    else:
        built["loss"](built["model"], batch)


def test_every_twin_says_what_it_is(runner):
    for path in FAULTS:
        said = runner.constants(path)
        assert said.keys() >= {"ID", "TIER", "CATEGORY", "REFERENCE", "EXPECT"}, path.name
        assert said["TIER"] in {"B", "W"}, path.name
        assert all(said[name] for name in ("EXPECT", "REFERENCE", "CATEGORY")), path.name
        assert all(isinstance(one, str) for one in said["EXPECT"]), path.name


def test_no_id_occurs_twice(runner):
    counts = Counter(runner.constants(path)["ID"] for path in FAULTS)
    assert [name for name, count in counts.items() if count > 1] == []


def branches(tree: ast.Module) -> list[ast.If | ast.IfExp]:
    """The places where a twin asks whether it is the faulty one."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.If | ast.IfExp)]
    return [node for node in nodes if "faulty" in ast.unparse(node.test)]


@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.stem)
def test_the_mistake_is_one_small_branch(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for branch in branches(tree):
        if isinstance(branch, ast.If):
            assert len(branch.body) <= 3, "the mistake is a line, not a program"
            assert len(branch.orelse) <= 3
    assert "faulty" in ast.unparse(tree).split("def build", 1)[1]


@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.stem)
def test_both_twins_build_and_the_right_one_steps(path):
    build = load(path).build
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # strangers' programs may be warned about
        one_step(build(faulty=False))
        with contextlib.suppress(Exception):  # that it breaks may be the mistake
            one_step(build(faulty=True))


@pytest.mark.parametrize("path", CLEAN, ids=lambda path: path.stem)
def test_clean_programs_take_steps(path):
    built = load(path).build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one_step(built)
        if built.get("evaluate"):
            built["evaluate"](built["model"], list(itertools.islice(built["valid_loader"], 1)))


def test_a_finding_of_both_twins_detects_nothing(runner):
    twin = runner.Twin(Path("x.py"), "X1", "W", "model", ("model.",))
    both = runner.Run("GO", findings={"model.initial-loss": ["WARN", ""]})
    other = runner.Run("GO", findings={**both.findings, "data.order": ["WARN", ""]})
    assert not runner.detected(twin, both, both)
    assert runner.detected(twin, both, other)


def test_a_blocker_that_is_only_warned_about_is_missed(runner):
    twin = runner.Twin(Path("x.py"), "X1", "B", "model", ("model.",))
    right = runner.Run("GO")
    assert not runner.detected(twin, right, runner.Run("GO", findings={"model.scale": ["WARN", ""]}))
    assert not runner.detected(twin, right, runner.Run("HOLD", findings={"model.scale": ["ERROR", ""]}))
    assert runner.detected(twin, right, runner.Run("NO-GO", findings={"model.scale": ["FAIL", ""]}))


def test_the_figures_count_every_clean_run(runner):
    twin = runner.Twin(Path("x.py"), "X1", "B", "model", ("model.scale",))
    wrong = runner.Run("NO-GO", root="model.scale", findings={"model.scale": ["FAIL", "too large"]})
    held = runner.Run("HOLD", root="data.order", note="data.order: not given")
    figures = runner.summary([(twin, runner.Run("GO"), wrong)], [(Path("odd.py"), held)])
    assert (figures["twins"], figures["clean_programs"], figures["false_alarms"]) == (1, 2, 1)
    assert (figures["recall_b"], figures["root_first"], figures["recall_w"]) == (1.0, 1.0, None)
