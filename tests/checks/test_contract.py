"""The contract, generated from the catalogue: every check against every healthy toy and each of its faults."""

import pytest

from gonogo.core.catalogue import discover
from gonogo.testing import contract
from gonogo.testing.toys import TOYS

CHECKS = list(discover())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_check_has_the_form_of_a_check(check):
    assert not list(contract.form(check))


@pytest.mark.parametrize("toy", TOYS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_check_accuses_no_healthy_toy_and_leaves_no_trace(check, toy):
    assert not list(contract.on_healthy(check, toy))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_check_answers_each_of_its_faults_as_declared(check):
    assert not list(contract.on_faults(check))
