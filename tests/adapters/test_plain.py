import pytest
import torch
from torch import nn

from gonogo.adapters.plain import as_subject, from_parts
from gonogo.errors import SubjectError
from gonogo.training.session import Session


def with_closures():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    def loss(model, batch):
        return model(batch).square().mean()

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        scheduler.step()
        return value.item()

    parts = {"model": model, "optimizer": optimizer, "loss": loss, "step": step, "scheduler": scheduler}
    return {**parts, "train_loader": [torch.ones(4, 2)]}


def test_a_step_uses_the_scheduler_that_was_built_with_its_model():
    session = Session(as_subject(with_closures(), with_closures, "program"))
    (batch,) = session.batches(limit=1)
    session.step(batch)
    assert session.optimizer.param_groups[0]["lr"] == 0.5


def test_instances_do_not_share_their_state():
    session = Session(as_subject(with_closures(), with_closures, "program"))
    (batch,) = session.batches(limit=1)
    other = session.build_model()
    other_optimizer = session.build_optimizer(other)
    session.step(batch, other, other_optimizer)
    assert session.optimizer.param_groups[0]["lr"] == 1.0
    assert other_optimizer.param_groups[0]["lr"] == 0.5


def test_a_copied_model_steps_with_the_functions_of_its_original():
    session = Session(as_subject(with_closures(), with_closures, "program"))
    (batch,) = session.batches(limit=1)
    session.step(batch)
    copied = session.copy_model()
    before = copied.weight.detach().clone()
    session.step(batch, copied, torch.optim.SGD(copied.parameters(), lr=1.0))
    assert not torch.equal(copied.weight, before)


def with_a_trained_teacher():
    parts = with_closures()
    parts["loss"](parts["model"], parts["train_loader"][0]).backward()
    return parts


def test_a_program_may_pretrain_a_part_while_a_check_has_switched_gradients_off():
    session = Session(as_subject(with_a_trained_teacher(), with_a_trained_teacher, "program"))
    with torch.no_grad():
        assert len(session.batches(limit=1)) == 1
        assert all(weight.requires_grad for weight in session.build_model().parameters())


def test_a_misspelt_part_is_told_with_the_name_that_it_should_have():
    with pytest.raises(SubjectError, match=r"'modle', 'loss' was found; expected model, .* Rename 'modle' to 'model'"):
        from_parts({"modle": 1, "loss": 2}, dict, "build")
