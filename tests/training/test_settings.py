"""Values of configurations, and what the names of keys say."""

from typing import Any

import pytest

from gonogo.training.settings import Setting, is_core, is_mechanism, is_plumbing, number, only, replaced, settings


def test_values_are_found_by_their_path() -> None:
    config = {"a": {"b": 1, 3: [1, 2]}, "c": [{"d": None}], "e": []}
    assert {one.path: one.value for one in settings(config)} == {"a.b": 1, "a.3": [1, 2], "c.0.d": None, "e": []}


def test_a_replaced_value_leaves_the_original_alone() -> None:
    config = {"a": {"b": 1, "c": [1, {"d": 2}]}, 5: {"x": 0}}
    assert replaced(config, ("a", "c", 1, "d"), 9) == {"a": {"b": 1, "c": [1, {"d": 9}]}, 5: {"x": 0}}
    assert replaced(config, (5, "x"), 1)[5] == {"x": 1}
    assert config == {"a": {"b": 1, "c": [1, {"d": 2}]}, 5: {"x": 0}}


@pytest.mark.parametrize(("value", "expected"), [(1, 1.0), ("1e-3", 1e-3), (True, None), ("x", None), (None, None)])
def test_numbers_may_be_texts(value: Any, expected: float | None) -> None:
    assert number(value) == expected


def test_two_values_of_one_meaning_are_ambiguous() -> None:
    assert only(settings({"lr": 1e-3, "x": {"learning_rate": "1e-3"}}), "rate") is not None
    assert only(settings({"lr": 1e-3, "x": {"lr": 1e-4}}), "rate") is None


@pytest.mark.parametrize("name", ["seed", "run_name", "log_every", "num_workers", "epochs", "data_path", "use_amp"])
def test_plumbing_may_change_nothing(name: str) -> None:
    assert is_plumbing(Setting((name,), 1))


@pytest.mark.parametrize(
    ("keys", "core", "mechanism"),
    [
        (("optim", "lr"), True, False),
        (("n_layers",), True, False),
        (("retention", "kl"), False, True),
        (("distill_loss_weight",), False, True),
        (("sharpness",), False, False),
    ],
)
def test_names_say_how_much_depends_on_a_value(keys: tuple[str, ...], core: bool, mechanism: bool) -> None:
    one = Setting(keys, 1.0)
    assert (is_core(one), is_mechanism(one), is_plumbing(one)) == (core, mechanism, False)


def test_a_flag_counts_by_its_verb() -> None:
    assert is_mechanism(Setting(("enable_audio",), True))
    assert not is_mechanism(Setting(("audio",), True))


def test_omegaconf_is_read_without_resolving() -> None:
    omegaconf = pytest.importorskip("omegaconf")
    config = omegaconf.OmegaConf.create({"a": "???", "b": {"c": "${a}"}})
    assert {one.path: one.value for one in settings(config)} == {"a": "???", "b.c": "${a}"}
    assert replaced(config, ("b", "c"), 3).b.c == 3
