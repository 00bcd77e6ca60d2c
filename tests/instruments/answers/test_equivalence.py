import pytest
import torch

from gonogo.instruments.answers import equivalence


def test_a_fit_finds_the_coefficients_that_were_put_in():
    generator = torch.Generator().manual_seed(0)
    parts = list(torch.randn(3, 50, generator=generator, dtype=torch.float64))
    found = equivalence.fit(2 * parts[0] - 0.5 * parts[1], parts)
    assert found.coefficients == pytest.approx((2, -0.5, 0), abs=1e-9)
    assert found.total == pytest.approx(1.5)
    assert found.explains(1e-9)


def test_a_fit_agrees_with_least_squares_of_the_library():
    generator = torch.Generator().manual_seed(1)
    basis = torch.randn(4, 30, generator=generator, dtype=torch.float64)
    seen = torch.randn(30, generator=generator, dtype=torch.float64)
    slow = torch.linalg.lstsq(basis.T, seen[:, None]).solution[:, 0]
    assert torch.allclose(torch.tensor(equivalence.fit(seen, list(basis)).coefficients, dtype=torch.float64), slow)


def test_equal_parts_cannot_be_told_apart():
    part = torch.arange(5.0, dtype=torch.float64)
    assert not equivalence.fit(part, [part, part]).explains()


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_a_part_without_a_finite_norm_explains_nothing(bad):
    part = torch.ones(3, dtype=torch.float64)
    assert not equivalence.fit(part, [part, part * bad]).explains()


def test_relative_error_of_nothing_against_nothing_is_zero():
    zero = torch.zeros(3)
    assert equivalence.relative_error(zero, zero) == 0
    assert equivalence.relative_error(zero + 1, zero) == float("inf")


def test_the_noise_floor_is_that_of_rounding_and_leaves_the_weights():
    weight = torch.tensor([1.0, 2.0, 3.0])
    floor = equivalence.noise_floor(lambda: weight * 2.0, [weight])
    assert 1e-8 < floor < 1e-6
    assert weight.tolist() == [1.0, 2.0, 3.0]


def test_a_comparison_names_the_factor_between_two_results():
    wanted = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    found = equivalence.compare(4 * wanted, wanted)
    assert (found.error, found.ratio) == (pytest.approx(3), pytest.approx(4))
    assert found.cause({"the world size": 4.0}) == "the world size"
    assert "directions differ" in equivalence.compare(wanted.flip(0), wanted).cause({"the world size": 4.0})


def test_noise_above_the_limit_decides_nothing():
    wanted = torch.ones(3, dtype=torch.float64)
    [low, high] = equivalence.compare(9 * wanted, wanted, noise=0.5).measured(1e-2).interval
    assert low <= 1e-2 < high


def test_noise_below_the_limit_is_taken_off():
    wanted = torch.ones(3, dtype=torch.float64)
    assert equivalence.compare(1.04 * wanted, wanted, noise=5e-3).measured(1e-2).interval == pytest.approx(
        (0.015, 0.04)
    )


def test_a_ratio_that_no_mistake_leaves_is_not_sure():
    assert equivalence.sure_ratio(4.0, (4.0, 0.25)).interval == (4.0, 4.0)
    assert equivalence.sure_ratio(3.0, (4.0, 0.25)).interval == (1.0, 3.0)


def test_outputs_of_another_structure_have_changed_without_limit():
    one = {"a": torch.ones(2)}
    assert equivalence.largest_change(one, {"a": torch.ones(2) * 1.5}) == 0.5
    assert equivalence.largest_change(one, {"b": torch.ones(2)}) == float("inf")
    assert equivalence.largest_change({"a": torch.zeros(0)}, {"a": torch.zeros(0)}) == 0
