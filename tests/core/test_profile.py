from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.core.check import Effort
from gonogo.core.profile import BUILTIN, Profile, Selection, load_profile, parse_yaml, seconds, size
from gonogo.errors import ProfileError

TODAY = date(2026, 6, 1)


@pytest.fixture
def load(tmp_path):
    """load(yaml, **other files by stem) -> Profile."""

    def loaded(text, **others):
        for name, content in {"mine": text, **others}.items():
            (tmp_path / f"{name}.yaml").write_text(content)
        return load_profile(str(tmp_path / "mine.yaml"), today=TODAY)

    return loaded


@pytest.mark.parametrize("name", BUILTIN)
def test_a_built_in_profile_loads_and_is_called_by_its_name(name):
    assert load_profile(name).name == name


def test_a_file_extends_standard_and_is_called_by_its_stem(load):
    profile, standard = load("seed: 3"), load_profile("standard")
    assert (profile.name, profile.seed) == ("mine", 3)
    assert (profile.select, profile.required) == (standard.select, standard.required)


def test_an_empty_file_is_the_standard_profile(load):
    assert load("").required == load_profile("standard").required


def test_a_profile_extends_another_that_extends_another(load):
    profile = load("extends: b.yaml", b="extends: c.yaml\nseed: 2\nselect: [data]", c="seed: 1\nrequired: [x.y]")
    assert (profile.seed, profile.select, profile.required) == (2, ("data",), ("x.y",))


def test_checks_and_waivers_of_both_profiles_count_and_the_nearer_check_wins(load):
    waiver = "waivers: [{{check: {0}, reason: r, until: 2027-01-01}}]\n"
    profile = load(
        "extends: b.yaml\nchecks: {x.y: {params: {a: 1}}}\n" + waiver.format("a.a"),
        b="checks: {x.y: {params: {a: 2}}, z.z: {params: {b: 3}}}\n" + waiver.format("b.b"),
    )
    assert {name: settings.params for name, settings in profile.checks.items()} == {"x.y": {"a": 1}, "z.z": {"b": 3}}
    assert [waiver.check for waiver in profile.waivers] == ["b.b", "a.a"]


def test_a_path_to_extend_is_seen_from_the_file_that_extends(load, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.yaml").write_text("extends: c.yaml")
    (tmp_path / "sub" / "c.yaml").write_text("seed: 9")
    assert load("extends: sub/b.yaml").seed == 9


def test_profiles_that_extend_each_other_are_refused(load):
    with pytest.raises(ProfileError, match=r"b\.yaml: extends itself through .*b\.yaml -> c\.yaml"):
        load("extends: b.yaml", b="extends: c.yaml", c="extends: b.yaml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("requird: []", r"requird: unknown key .* Did you mean 'required'\?"),
        ("checks: {a.b: {parms: {}}}", r"checks\.a\.b\.parms: unknown key .* Did you mean 'params'\?"),
        ("time_limit: {fti: 3}", r"time_limit\.fti: unknown key .* Did you mean 'fit'\?"),
        ("watch: {divergance: stop}", r"watch\.divergance: unknown key .* Did you mean 'divergence'\?"),
        (
            "waivers: [{check: a, reason: r, untill: 2027-01-01}]",
            r"waivers\.0\.untill: unknown .* Did you mean 'until'\?",
        ),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_valid_name_at_every_level(load, text, words):
    with pytest.raises(ProfileError, match=rf"mine\.yaml: {words}"):
        load(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed: 1.5", r"seed: 1\.5 was found"),
        ("seed: many", "seed: 'many' was found"),
        ("select: data", "select: 'data' was found"),
        ("select: [1]", r"select\.0: 1 was found"),
        ("required: null", "required: None was found"),
        ("time_limit: 3", "time_limit: 3 was found"),
        ("time_limit: {fit: soon}", r"time_limit\.fit: 'soon' was found"),
        ("budget: .nan", "budget: nan was found.* finite"),
        ("budget: soon", "budget: 'soon' was found, a duration such as"),
        ("memory_limit: 3 PB", "memory_limit: '3 PB' was found, a size such as"),
        ("checks: [a.b]", r"checks: \['a\.b'\] was found, a mapping of check ids"),
        ("checks: 5", "checks: 5 was found, a mapping"),
        ("checks: {a.b: 3}", r"checks\.a\.b: 3 was found"),
        ("checks: {a.b: {params: {x: [1]}}}", r"checks\.a\.b\.params\.x: \[1\] was found, a number, a text or"),
        ("checks: {a.b: {limits: {x: {fail: low}}}}", r"checks\.a\.b\.limits\.x\.fail: 'low' was found"),
        ("checks: {a.b: {limits: {x: {fail: .inf}}}}", r"checks\.a\.b\.limits\.x\.fail: inf was found.* finite"),
        ("checks: {a.b: {limits: {x: 3}}}", r"checks\.a\.b\.limits\.x: 3 was found"),
        ("watch: {nan: halt}", r"watch\.nan: 'halt' was found: input should be 'stop', 'alert', 'log' or 'off'"),
        ("watch: stop", "watch: 'stop' was found, a mapping of settings"),
        ("waivers: {check: a}", r"waivers: \{'check': 'a'\} was found, a list of waivers"),
        ("waivers: 3", "waivers: 3 was found, a list"),
        ("waivers: [3]", r"waivers\.0: 3 was found"),
        ("waivers: [{check: a, reason: r}]", r"waivers\.0\.until: missing"),
        ("waivers: [{check: a, until: 2027-01-01}]", r"waivers\.0\.reason: missing"),
        ("waivers: [{check: a, reason: r, until: 2026-13-01}]", "month must be in 1..12"),
        ("extends: 3", "extends: 3 was found, a profile name or path was expected"),
        ("- select", "a list was found, a mapping of keys was expected"),
        ("just text", "a str was found, a mapping of keys was expected"),
        ("select: [data", "not valid YAML: .*line 1"),
        ("select: *nowhere", "not valid YAML"),
        ("!!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path_and_what_was_found(load, text, words):
    with pytest.raises(ProfileError, match=rf"mine\.yaml: .*{words}"):
        load(text)


def test_single_settings_of_the_watch_change_those_of_the_profile_below(load):
    profile = load("extends: b.yaml\nwatch: {spike: alert}", b="watch: {nan: alert, spike: stop}")
    assert (profile.watch.nan, profile.watch.spike, profile.watch.memory) == ("alert", "alert", "alert")


def test_the_address_of_a_webhook_is_shown_nowhere(load):
    assert "secret" not in str(load("watch: {webhook: 'https://host/secret'}").model_dump(mode="json"))
    with pytest.raises(ProfileError, match=r"watch\.webhook: no address") as raised:
        load("watch: {webhook: 'hooks.host/secret'}")
    assert "host" not in str(raised.value)


def test_a_file_in_another_encoding_is_refused_in_words(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("name: café".encode("latin-1"))
    with pytest.raises(ProfileError, match="not UTF-8"):
        load_profile(str(tmp_path / "latin.yaml"))


@pytest.mark.parametrize("name", ["standrad", "no/such/file.yaml", "."])
def test_a_missing_profile_says_what_can_be_given(name):
    with pytest.raises(ProfileError, match=r"there is no profile .* quick, standard, full, .* or the path"):
        load_profile(name)


def test_a_misspelt_built_in_name_is_recognised():
    with pytest.raises(ProfileError, match="Did you mean 'standard'"):
        load_profile("standrad")


def test_a_waiver_counts_to_the_end_of_its_last_day(load):
    assert load("waivers: [{check: a, reason: r, until: 2026-06-01}]").waivers[0].until == TODAY


def test_an_expired_waiver_is_refused_with_both_dates(load):
    with pytest.raises(ProfileError, match=r"waivers\.0 \(a\): expired on 2026-05-31, today is 2026-06-01"):
        load("waivers: [{check: a, reason: r, until: 2026-05-31}]")


@pytest.mark.parametrize("reason", ["''", "'   '"])
def test_a_waiver_without_a_reason_is_refused(load, reason):
    with pytest.raises(ProfileError, match=r"waivers\.0\.reason: empty"):
        load(f"waivers: [{{check: a, reason: {reason}, until: 2027-01-01}}]")


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "+1e-3", "1.0e-3", "10e-4", "0.001"])
def test_numbers_with_exponents_are_numbers(text):
    assert parse_yaml(f"x: {text}", "here") == {"x": 0.001}


@pytest.mark.parametrize("text", ["'1e-3'", "1e-3x", "e-3", "3e", "v1e3"])
def test_what_only_looks_like_an_exponent_stays_text(text):
    assert parse_yaml(f"x: {text}", "here") == {"x": text.strip("'")}


def test_a_number_with_exponent_is_a_limit(load):
    assert load("checks: {a.b: {limits: {x: {fail: 1e-3}}}}").checks["a.b"].limits == {"x": {"fail": 0.001}}


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("90 s", 90), ("90s", 90), ("1.5 min", 90), ("2 h", 7200), ("3hours", 10800)]
)
def test_durations_are_read_in_seconds(text, expected):
    assert seconds(text, "here") == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("500", 500), ("2 kB", 2000), ("500 MB", 5e8), ("4 GiB", 2**32), ("1.5GB", 1.5e9)]
)
def test_sizes_are_read_in_bytes(text, expected):
    assert size(text, "here") == expected


@given(st.text())
def test_any_other_text_is_refused_and_never_crashes(text):
    for read in (seconds, size):
        with suppress(ProfileError):
            assert read(text, "here") >= 0


def test_a_budget_and_a_memory_limit_may_have_units(load):
    profile = load("budget: 20 min\nmemory_limit: 2 GiB")
    assert (profile.budget, profile.memory_limit) == (1200, 2**31)


def test_each_effort_has_its_own_time_limit(load):
    limit = load("time_limit: {read: 1, step: 2, fit: 3}").time_limit
    assert [limit.of(effort) for effort in Effort] == [1, 2, 3]


def test_the_command_line_changes_only_what_it_names():
    profile = Profile(select=("data",), ignore=("data.a",), seed=4)
    assert Selection().apply(profile) == profile
    changed = Selection(only=("model",), skip=("model.b",), budget="1 min", time_limit="5 s").apply(profile)
    assert (changed.select, changed.ignore, changed.budget, changed.seed) == (("model",), ("data.a", "model.b"), 60, 4)
    assert {changed.time_limit.of(effort) for effort in Effort} == {5}


def test_an_extending_profile_changes_single_settings_of_a_check(tmp_path):
    (tmp_path / "base.yaml").write_text("checks: {model.x: {params: {a: 1, b: 2}, limits: {m: {warn: 1}}}}")
    (tmp_path / "child.yaml").write_text("extends: base.yaml\nchecks: {model.x: {params: {b: 3}}}")
    settings = load_profile(str(tmp_path / "child.yaml")).checks["model.x"]
    assert settings.params == {"a": 1, "b": 3}
    assert settings.limits == {"m": {"warn": 1}}


@pytest.mark.parametrize("line", ["budget: -5", "memory_limit: 0", "time_limit: {read: -1}"])
def test_limits_that_nothing_can_keep_are_refused(tmp_path, line):
    path = tmp_path / "p.yaml"
    path.write_text(line)
    with pytest.raises(ProfileError, match="greater than 0"):
        load_profile(str(path))
