from dataclasses import replace

import pytest
import torch

from gonogo.checks.learning.dry_run import dry_run
from gonogo.testing.toys.classifier import classifier
from gonogo.training.session import Session


def raised(subject):
    return dry_run(Session(subject), seconds=0.5).measurements["raised"].value


def stepping(action):
    def step(model, optimizer, batch):
        action(model)
        return 0.0

    return replace(classifier(), step=step)


def fail(error):
    def action(*_):
        raise error

    return action


def test_a_program_that_gets_through_has_raised_nothing():
    assert raised(classifier()) == 0


def test_an_error_in_the_evaluation_counts():
    assert raised(replace(classifier(), evaluate=fail(KeyError("accuracy")))) == 1


def saving(action):
    return replace(classifier(), save=action, load=lambda *_: None)


def test_a_name_that_is_unknown_when_saving_counts():
    assert raised(saving(fail(UnboundLocalError("checkpoint")))) == 1


def test_a_disk_that_refuses_is_no_fault_of_the_program():
    assert raised(saving(fail(OSError("no space left on device")))) == 0


def test_the_error_and_its_place_are_told():
    observation = dry_run(Session(stepping(fail(KeyError("tokens")))))
    assert observation.tables[0].rows[0][:3] == ("step", 0, "KeyError: 'tokens'")


@pytest.mark.parametrize("error", [FileNotFoundError("x.csv"), RuntimeError("CUDA error: no device"), MemoryError()])
def test_what_the_machine_lacks_stays_an_error_of_the_check(error):
    with pytest.raises(type(error)):
        raised(stepping(fail(error)))


def test_a_schedule_that_ends_with_its_planned_run_is_no_error():
    built = {}

    def action(model):
        if model not in built:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            built[model] = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=2)
            optimizer.step()
        built[model].step()

    assert raised(stepping(action)) == 0
