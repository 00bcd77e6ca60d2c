import pytest
from tests.study.conftest import drawn, make_study

from gonogo.study.comparison import Comparison
from gonogo.study.design import Metric, Trial


def compared(study):
    """Every variant with every seed, in this process."""
    return Comparison(
        study, {(name, seed): study.variants[name](seed) for seed in study.seeds for name in study.variants}
    )


def fixed(*values, **fields):
    """A variant that reaches these values, seed by seed."""
    return lambda seed: Trial(metrics={"accuracy": values[seed]}, **fields)


@pytest.mark.requirement("MAFT-6.2")
def test_the_reference_is_flagged_where_it_does_not_beat_a_variant(study):
    comparison = compared(study)
    assert [contrast.standing for contrast in comparison.contrasts()] == ["ahead", "behind"]
    (flag,) = comparison.flags()
    assert flag.startswith("ours is behind strong: accuracy -0.0")


@pytest.mark.requirement("MAFT-6.2")
def test_noise_of_the_seeds_is_no_lead_and_the_seeds_that_would_decide_are_told():
    variants = {"ours": fixed(0.80, 0.86, 0.83), "other": fixed(0.79, 0.80, 0.84)}
    (flag,) = compared(make_study(variants=variants)).flags()
    assert "does not beat other beyond noise: accuracy +0.02 (" in flag
    assert "about 15 seeds would decide" in flag


def test_differences_are_paired_by_seed():
    variants = {"ours": fixed(0.50, 0.70, 0.90), "other": fixed(0.49, 0.69, 0.89)}
    assert compared(make_study(variants=variants)).flags() == []


def test_one_seed_decides_nothing(study):
    flags = compared(study.with_seeds(1)).flags()
    assert len(flags) == 2
    assert all("give at least 2" in flag for flag in flags)


def test_a_lead_that_rests_on_few_test_samples_is_undecided():
    ours = fixed(0.6, 0.6, 0.6, samples={"accuracy": (1.0, 1.0, 1.0, 0.0, 0.0)})
    other = fixed(0.4, 0.4, 0.4, samples={"accuracy": (0.0, 1.0, 0.0, 1.0, 0.0)})
    (flag,) = compared(make_study(variants={"ours": ours, "other": other})).flags()
    assert "the test samples do not" in flag


def test_samples_that_contradict_the_metric_decide_nothing():
    ours = fixed(0.9, 0.9, 0.9, samples={"accuracy": (0.0, 0.0)})
    other = fixed(0.1, 0.1, 0.1, samples={"accuracy": (1.0, 1.0)})
    assert compared(make_study(variants={"ours": ours, "other": other})).contrasts()[0].standing == "undecided"


def test_lower_is_ahead_where_lower_is_better():
    study = make_study(
        variants={"ours": fixed(0.1, 0.1, 0.1), "other": fixed(0.3, 0.3, 0.3)}, metrics=(Metric("accuracy", False),)
    )
    assert compared(study).flags() == []


def test_a_metric_that_is_undefined_for_a_seed_has_no_mean():
    study = make_study(variants={"ours": fixed(0.5, None, 0.5)})
    assert compared(study).estimate("ours", "accuracy") is None


@pytest.mark.requirement("MAFT-6.1")
def test_every_difference_of_procedure_and_a_size_beyond_a_tenth_is_listed():
    variants = {
        "ours": drawn(0.9, parameters=1000, procedure={"steps": 100, "optimizer": "AdamW"}),
        "near": drawn(0.8, parameters=1090, procedure={"steps": 100, "optimizer": "AdamW"}),
        "far": drawn(0.8, parameters=400, procedure={"steps": 90, "optimizer": "AdamW"}),
    }
    assert compared(make_study(variants=variants)).differences() == [
        ("far", "steps", "90", "100"),
        ("far", "parameters", "400 (0.4 of the reference)", "1,000"),
    ]


def test_a_trial_that_failed_is_a_flag(study):
    comparison = Comparison(study, {**compared(study).trials, ("weak", 2): Trial(failure="ValueError: diverged")})
    assert "weak, seed 2, did not reach its end: ValueError: diverged" in comparison.flags()
    assert comparison.contrasts()[0].difference.n == 2
