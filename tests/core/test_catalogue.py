import sys
import textwrap

import pytest

from gonogo.core import catalogue
from gonogo.core.catalogue import Broken, Catalogue, discover, from_json, load_index, to_json
from gonogo.errors import CheckError, ProfileError

CHECK = '''
from gonogo.core.check import Effort, check, fault
from gonogo.core.criterion import at_most

@check(needs=(), effort=Effort.READ, criteria=[at_most("m", fail=1, source="")])
def {name}(session):
    """well | not well

    What: a
    Why: b
    Fix: c
    Shapes: d
    Units: e
    Source: f
    """
'''
FAULT = '''
@fault()
def broken(subject):
    """It is broken."""
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """package({"data/rows.py": text}) -> the name of a package with these files."""

    def make(files):
        root = tmp_path / "acme_pkg"
        for path, text in {"__init__.py": "", **files}.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            (file.parent / "__init__.py").touch()
            file.write_text(textwrap.dedent(text))
        return "acme_pkg"

    monkeypatch.syspath_prepend(tmp_path)
    yield make
    for name in [name for name in sys.modules if name.startswith("acme_pkg")]:
        del sys.modules[name]


def guarded(name):
    """What becomes of an entry point `acme` with this package."""
    return catalogue._guarded("acme", name)


def test_the_shipped_index_survives_a_round_trip():
    index = load_index()
    assert len(index.checks) > 5
    assert from_json(to_json(index)) == index


def test_broken_rows_survive_a_round_trip_too():
    one = Catalogue((), (Broken("acme/", "ImportError: x"),))
    assert from_json(to_json(one)) == one


def test_checks_are_found_in_files_of_any_depth_with_their_faults(package):
    name = package({"data/rows.py": CHECK.format(name="rows") + FAULT})
    [found] = discover(name)
    assert (found.id, [fault.name for fault in found.faults]) == ("data.rows", ["broken"])
    assert catalogue.implementation(found).__name__ == "rows"
    assert catalogue.fault_function(found, found.faults[0]).__name__ == "broken"


def test_an_entry_point_may_be_a_single_module(package):
    package({"data/rows.py": CHECK.format(name="rows") + FAULT})
    assert [check.id for check in guarded("acme_pkg.data.rows")] == ["acme/data.rows"]


def test_a_check_that_is_only_imported_is_not_found_twice(package):
    files = {"data/rows.py": CHECK.format(name="rows") + FAULT, "data/other.py": "from acme_pkg.data.rows import rows"}
    assert len(discover(package(files)).checks) == 1


def test_a_file_without_fault_is_refused(package):
    with pytest.raises(CheckError, match=r"acme_pkg\.data\.rows: the check declares no fault"):
        discover(package({"data/rows.py": CHECK.format(name="rows")}))


def test_two_checks_in_one_file_would_share_an_id_and_are_refused(package):
    with pytest.raises(CheckError, match=r"two checks have the id 'data\.rows'"):
        discover(package({"data/rows.py": CHECK.format(name="rows") + CHECK.format(name="again") + FAULT}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise ValueError('no licence')", "ValueError: no licence"),
        ("import module_that_is_not_there", "ModuleNotFoundError"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("def half(", "SyntaxError"),
    ],
)
@pytest.mark.parametrize("file", ["data/rows.py", "data/__init__.py", "__init__.py"])
def test_a_plug_in_that_cannot_be_imported_is_a_row_that_tells_why(package, file, text, words):
    found = guarded(package({"data/fine.py": CHECK.format(name="fine") + FAULT, file: text}))
    assert found.checks == ()
    [row] = found.broken
    assert row.id == "acme/"
    assert words in row.error


def test_a_plug_in_that_is_not_installed_completely_is_a_row():
    assert guarded("package_that_is_not_there").broken[0].id == "acme/"


def test_the_user_can_interrupt_a_plug_in(package):
    with pytest.raises(KeyboardInterrupt):
        guarded(package({"__init__.py": "raise KeyboardInterrupt"}))


def test_a_check_is_found_by_id_and_an_unknown_id_names_the_nearest(make_check):
    both = Catalogue((make_check("data.rows"), make_check("model.size")))
    assert both["model.size"].id == "model.size"
    with pytest.raises(ProfileError, match=r"no check 'data\.row'\. Did you mean 'data\.rows'"):
        both["data.row"]


def test_catalogues_add_up(make_check):
    first, second = Catalogue((make_check("a.a"),)), Catalogue((make_check("b.b"),), (Broken("c/", "e"),))
    assert [check.id for check in first + second] == ["a.a", "b.b"]
    assert (first + second).broken == second.broken
