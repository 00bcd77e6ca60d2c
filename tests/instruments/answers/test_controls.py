"""The control of a pairing, against the definition written out."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.instruments.answers import controls
from gonogo.training.session import Session
from gonogo.training.subject import Subject


def session(loss=None, tied: bool = True) -> Session:
    x = torch.randn(4, 30, 3)
    y = x.sum(-1, keepdim=True) if tied else torch.randn(4, 30, 1)
    net = nn.Linear(3, 1)
    with torch.no_grad():
        net.weight.fill_(0.9)

    def model() -> nn.Module:
        new = nn.Linear(3, 1)
        new.load_state_dict(net.state_dict())
        return new

    own = loss or (lambda model, batch: functional.mse_loss(model(batch[0]), batch[1]))
    data = list(zip(x, y, strict=True))
    return Session(Subject("pairs", model=model, loss=own, splits={"train": data, "valid": data}))


def test_the_gain_is_that_of_the_definition():
    torch.manual_seed(0)
    run = session()
    [batch] = run.batches("train", limit=1)
    found = controls.pairing(run, run.model, [batch], draws=3)
    answers = run.model(batch[0]).detach()
    errors = [
        float((answers - batch[1][controls.order(30, seed)]).square().mean())
        for seed in (controls.seeding.derive(run.seed, 0, draw) for draw in range(3))
    ]
    assert found is not None
    torch.testing.assert_close(torch.tensor(found.exchanged), torch.tensor(errors))
    torch.testing.assert_close(found.own, float((answers - batch[1]).square().mean()))


def test_a_relation_is_certain_and_none_is_not():
    torch.manual_seed(0)
    for tied in (True, False):
        run = session(tied=tied)
        found = controls.pairing(run, run.model, run.batches("train", limit=4))
        assert found is not None
        assert found.certain is tied


def test_a_loss_that_does_not_compare_rows_has_no_pairing():
    def spread(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return model(batch[0]).var()

    run = session(loss=spread)
    assert controls.pairing(run, run.model, run.batches("train", limit=2)) is None


def test_the_model_answers_for_itself_again_afterwards():
    run = session()
    before = run.model(torch.ones(1, 3))
    with controls.instead(run.model, [torch.zeros(1)]):
        assert run.model(torch.ones(1, 3)).equal(torch.zeros(1))
    assert run.model(torch.ones(1, 3)).equal(before)
    assert "forward" not in vars(run.model)
