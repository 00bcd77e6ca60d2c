from pathlib import Path

from gonogo.core.catalogue import load_index

CHECKS = Path(__file__).parents[2] / "src" / "gonogo" / "checks"


def test_the_path_of_a_check_is_its_id():
    for check in load_index():
        category, name = check.id.split(".")
        path = CHECKS / category.replace("-", "_") / f"{name.replace('-', '_')}.py"
        assert path.is_file(), check.id
        assert check.module == f"gonogo.checks.{path.parent.name}.{path.stem}"
        assert check.name == path.stem


def test_every_file_of_checks_is_one_check_of_the_index():
    files = {f"gonogo.checks.{path.parent.name}.{path.stem}" for path in CHECKS.glob("*/*.py")}
    modules = [check.module for check in load_index()]
    assert sorted(modules) == sorted(module for module in files if not module.endswith("__init__"))


def test_checks_wait_only_for_checks_that_exist():
    ids = {check.id for check in load_index()}
    assert all(set(check.after) <= ids for check in load_index())
