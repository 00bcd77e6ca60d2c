import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.core.capability import Capability
from gonogo.core.catalogue import Broken, Catalogue, load_index
from gonogo.core.check import Effort, Param
from gonogo.core.criterion import Interval
from gonogo.core.plan import Skip, make_plan
from gonogo.core.profile import BUILTIN, load_profile
from gonogo.errors import CheckError, ProfileError


def ids(plan):
    return [step.check.id for step in plan.steps]


def test_a_check_runs_after_those_it_waits_for(make_check, plan_of):
    first, second = make_check("model.z"), make_check("data.a", after=("model.z",))
    assert ids(plan_of(second, first)) == ["model.z", "data.a"]


def test_cheap_checks_run_first_even_if_another_one_sets_them_free(make_check, plan_of):
    read, fit = make_check("model.a"), make_check("data.c", effort=Effort.FIT)
    step = make_check("model.b", effort=Effort.STEP, after=("model.a",))
    assert ids(plan_of(fit, step, read)) == ["model.a", "model.b", "data.c"]


def test_causes_run_before_consequences_at_equal_cost(make_check, plan_of):
    checks = [make_check(name) for name in ("learning.a", "model.a", "data.b", "data.a")]
    assert ids(plan_of(*checks)) == ["data.a", "data.b", "model.a", "learning.a"]


def test_a_category_that_nobody_knows_comes_last(make_check, plan_of):
    assert ids(plan_of(make_check("acme/zoo.a"), make_check("learning.b"))) == ["learning.b", "acme/zoo.a"]


def test_a_plug_in_check_runs_with_its_category(make_check, plan_of):
    assert ids(plan_of(make_check("model.a"), make_check("acme/data.a"))) == ["acme/data.a", "model.a"]


@given(st.data())
def test_the_order_respects_every_after_and_does_not_depend_on_the_order_of_discovery(make_check, plan_of, data):
    names = [f"data.c{index}" for index in range(6)]
    checks = []
    for index, name in enumerate(names):
        after = data.draw(st.lists(st.sampled_from(names[:index]), unique=True)) if index else []
        checks.append(make_check(name, after=tuple(after), effort=data.draw(st.sampled_from(list(Effort)))))
    order = ids(plan_of(*checks))
    assert sorted(order) == names
    assert all(order.index(before) < order.index(check.id) for check in checks for before in check.after)
    assert ids(plan_of(*data.draw(st.permutations(checks)))) == order


def test_checks_that_wait_for_each_other_are_refused(make_check, plan_of):
    with pytest.raises(CheckError, match="circle"):
        plan_of(make_check("data.a", after=("data.b",)), make_check("data.b", after=("data.a",)))


def test_waiting_for_a_check_that_is_not_there_is_no_obstacle(make_check, plan_of):
    assert len(plan_of(make_check("data.a", after=("data.gone",))).runnable) == 1


def test_a_missing_capability_skips_with_advice_for_each(make_check, plan_of):
    check = make_check("data.a", needs=(Capability.TRAIN, Capability.VALID, Capability.MODEL))
    [step] = plan_of(check, provides=[Capability.TRAIN]).steps
    assert step.skip is Skip.MISSING
    assert step.reason.startswith("no valid-split: ")
    assert Capability.VALID.advice in step.reason
    assert Capability.MODEL.advice in step.reason
    assert Capability.TRAIN.advice not in step.reason


def test_every_capability_has_advice():
    assert all("give " in capability.advice for capability in Capability)


def test_what_is_provided_runs(make_check, plan_of):
    plan = plan_of(make_check("data.a", needs=(Capability.TRAIN,)), provides=[Capability.TRAIN, Capability.MODEL])
    assert ids(plan) == [step.check.id for step in plan.runnable]


def test_selection_is_by_prefix_and_ignore_wins(make_check, plan_of):
    checks = [make_check(name) for name in ("data.a", "data.b", "model.a")]
    plan = plan_of(*checks, select=["data"], ignore=["data.b"])
    assert [step.check.id for step in plan.runnable] == ["data.a"]
    assert [step.skip for step in plan.steps] == [None, Skip.DESELECTED, Skip.DESELECTED]


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"required": ["data.row"]}, r"required: there is no check 'data\.row'\. Did you mean 'data\.rows'"),
        ({"checks": {"data.row": {}}}, r"checks: there is no check 'data\.row'\. Did you mean 'data\.rows'"),
        (
            {"waivers": [{"check": "data.row", "reason": "r", "until": "2030-01-01"}]},
            r"waivers: there is no check 'data\.row'\. Did you mean",
        ),
        ({"select": ["dat.", "data"]}, r"select: nothing starts with 'dat\.'\. Did you mean 'data'"),
        ({"ignore": ["modle"]}, "ignore: nothing starts with 'modle'"),
        ({"checks": {"data.rows": {"params": {"row": 1}}}}, r"checks\.data\.rows\.params\.row: unknown parameter"),
        ({"checks": {"data.rows": {"limits": {"wrnog": {"fail": 1}}}}}, r"limits\.wrnog: no such limit.*'wrong'"),
        ({"checks": {"data.rows": {"limits": {"wrong": {"fial": 1}}}}}, r"data\.rows\.limits: unknown limit 'fial'"),
        ({"checks": {"data.rows": {"limits": {"wrong": {"fail": [3, 1]}}}}}, "one number was expected"),
        ({"checks": {"data.rows": {"limits": {"wrong": {"warn": 3}}}}}, "outside the fail limit"),
    ],
)
def test_what_does_not_exist_or_fit_is_refused_with_its_place(make_check, plan_of, profile, words):
    with pytest.raises(ProfileError, match=rf"mine: .*{words}"):
        plan_of(make_check("data.rows"), make_check("learning.x"), **{"select": ["data"], **profile})


def test_parameters_and_limits_of_the_profile_reach_the_step(make_check, plan_of):
    check = make_check("data.a", params=(Param("rows", "int", 3),))
    settings = {"params": {"rows": 7}, "limits": {"wrong": {"fail": 9}}}
    [step] = plan_of(check, select=["data"], checks={"data.a": settings}).steps
    assert step.params == {"rows": 7}
    assert step.criteria[0].tolerate == Interval(hi=9)


def test_a_deselected_check_that_is_required_stays_required(make_check, plan_of):
    step = plan_of(make_check("data.a"), make_check("model.a"), select=["model"], required=["data.a"]).steps[0]
    assert (step.required, step.skip) == (True, Skip.DESELECTED)


ROW = Broken("acme/", "ImportError: gone")


@pytest.mark.parametrize("select", [["acme/"], ["acme/data.rows"], ["data", "acme/data"]])
def test_a_broken_plug_in_is_shown_if_the_profile_wants_any_of_its_checks(make_check, plan_of, select):
    assert plan_of(make_check("data.a"), broken=[ROW], select=select).broken == (ROW,)


def test_a_broken_plug_in_that_nobody_wants_is_left_out(make_check, plan_of):
    assert plan_of(make_check("data.a"), broken=[ROW], select=["data"]).broken == ()


def test_a_required_check_of_a_broken_plug_in_shows_the_plug_in(make_check, plan_of):
    assert plan_of(make_check("data.a"), broken=[ROW], select=["data"], required=["acme/data.x"]).broken == (ROW,)


def test_a_required_check_of_a_plug_in_that_is_not_installed_is_refused(make_check, plan_of):
    with pytest.raises(ProfileError, match=r"required: there is no check 'acme/data\.x'"):
        plan_of(make_check("data.a"), select=["data"], required=["acme/data.x"])


def test_settings_of_a_plug_in_that_is_not_installed_do_no_harm(make_check, plan_of):
    assert plan_of(make_check("data.a"), select=["data"], checks={"acme/data.x": {}}).runnable


def test_settings_of_an_installed_plug_in_are_checked(make_check, plan_of):
    with pytest.raises(ProfileError, match=r"Did you mean 'acme/data\.rows'"):
        plan_of(make_check("acme/data.rows"), select=["acme/"], checks={"acme/data.row": {}})


@pytest.mark.parametrize("name", BUILTIN)
def test_every_built_in_profile_fits_the_shipped_checks(name):
    catalogue = load_index()
    plan = make_plan(catalogue, load_profile(name), list(Capability))
    assert len(plan.steps) == len(catalogue.checks)
    assert all(step.skip is None for step in plan.steps if step.required)


def test_an_empty_catalogue_is_an_empty_plan(make_profile):
    assert make_plan(Catalogue(()), make_profile(select=[]), ()).steps == ()


def test_the_id_of_a_check_selects_no_other_that_starts_so(make_check, plan_of):
    plan = plan_of(make_check("model.mode"), make_check("model.mode-restored"), select=["model.mode"])
    assert [step.check.id for step in plan.runnable] == ["model.mode"]
