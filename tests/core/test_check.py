import pytest

from gonogo.core.capability import Capability
from gonogo.core.check import Effort, Param, check, fault
from gonogo.core.criterion import Status, at_most
from gonogo.errors import CheckError, ProfileError

PAGE = """all is well | all is not well

    What: a
    Why: b
    Fix: c
    Shapes: d
    Units: e
    Source: f
    """


def declared(function, module="acme.checks.data.row_count", doc=PAGE, **fields):
    """The data of a function that is declared to be a check."""
    function.__module__, function.__doc__ = module, doc
    plain = {"needs": {Capability.TRAIN}, "effort": Effort.READ, "criteria": [at_most("m", fail=1, source="")]}
    return check(**{**plain, **fields})(function).check


def plain(session, *, rows: int = 3, share: float = 0.5, strict: bool = True, name: str = "x"):
    """Filled in by `declared`."""


def test_the_last_two_parts_of_the_module_are_the_id():
    data = declared(plain)
    assert (data.id, data.category) == ("data.row-count", "data")


def test_a_check_outside_a_package_is_refused_in_words():
    with pytest.raises(CheckError, match="__main__: a check lives in a package"):
        declared(plain, module="__main__")


def test_the_decorated_function_stays_what_it_was():
    def measure(session, *, rows: int = 3):
        return session, rows

    declared(measure)
    assert measure("s", rows=4) == ("s", 4)


def test_keyword_only_parameters_become_typed_parameters():
    kinds = {param.name: (param.type, param.default) for param in declared(plain).params}
    assert kinds == {"rows": ("int", 3), "share": ("float", 0.5), "strict": ("bool", True), "name": ("str", "x")}


def test_a_parameter_without_default_is_refused():
    with pytest.raises(CheckError, match="'rows' needs a default"):
        declared(lambda session, *, rows: None)


def test_needs_are_sorted_so_that_the_index_is_stable():
    needs = {Capability.TRAIN, Capability.MODEL, Capability.CONFIG, Capability.LOSS}
    assert declared(plain, needs=needs).needs == tuple(sorted(needs))


def test_given_parameters_are_bound_and_the_others_keep_their_defaults():
    bound = declared(plain).bind({"share": 1}, "p")
    assert bound == {"rows": 3, "share": 1.0, "strict": True, "name": "x"}
    assert isinstance(bound["share"], float)


def test_an_unknown_parameter_names_the_nearest_and_all_that_there_are():
    with pytest.raises(ProfileError, match=r"p\.row: unknown .* rows, share, strict, name.*Did you mean 'rows'"):
        declared(plain).bind({"row": 1}, "p")


@pytest.mark.parametrize(
    ("kind", "value"),
    [("int", 1.5), ("int", True), ("int", "3"), ("float", True), ("float", "a"), ("bool", 1), ("str", 1)],
)
def test_a_value_of_another_type_is_refused_with_its_place(kind, value):
    with pytest.raises(ProfileError, match=rf"here: {value!r} is an? {type(value).__name__}, an? {kind} was expected"):
        Param("x", kind, None).accept(value, "here")


def test_a_fault_carries_its_first_docstring_line_and_the_expected_answer():
    @fault(expect=Status.WARN, toy="vae")
    def too_few(subject):
        """Half of the rows are gone.

        More words.
        """

    data = too_few.fault
    assert (data.name, data.title, data.expect, data.toy) == (
        "too_few",
        "Half of the rows are gone.",
        Status.WARN,
        "vae",
    )


def test_a_fault_without_docstring_is_refused():
    with pytest.raises(CheckError, match="a fault needs a one-line docstring"):
        fault()(lambda subject: subject)


def test_the_category_of_a_plug_in_keeps_its_prefix(make_check):
    assert make_check("acme/data.row-count").category == "acme/data"


def test_efforts_are_ordered_from_cheap_to_costly():
    assert Effort.READ < Effort.STEP < Effort.FIT
