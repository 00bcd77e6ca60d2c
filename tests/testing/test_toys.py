"""The toys are healthy: everything else is tested against them."""

import math

import pytest
import torch
from torch.utils.data import IterableDataset
from torch.utils.flop_counter import FlopCounterMode

from gonogo.testing.toys import TOYS
from gonogo.training.batch import tensors
from gonogo.training.session import Session, all_of, evaluating

# The watched toy is a recording: there is no model to ask.
pytestmark = pytest.mark.parametrize("name", [name for name, toy in TOYS.items() if toy().model is not None])


def _skip_games(session: Session) -> None:
    if len(all_of(session.optimizer)) > 1:
        pytest.skip("the losses of players in a game need not fall")


def test_a_toy_is_small_and_its_claimed_parameter_count_is_exact(name: str) -> None:
    session = Session(TOYS[name]())
    count = sum(parameter.numel() for parameter in session.model.parameters())
    assert count == session.claims.parameters
    assert count < 20_000


def test_one_batch_is_memorised_in_150_steps(name: str) -> None:
    session = Session(TOYS[name]())
    _skip_games(session)
    [batch] = session.batches(limit=1)
    losses = [session.step(batch) for _ in range(150)]
    assert losses[-1] / losses[0] < 0.2


def test_a_step_is_some_milliseconds_of_work(name: str) -> None:
    session = Session(TOYS[name]())
    [batch] = session.batches(limit=1)
    with FlopCounterMode(display=False) as counter:
        session.step(batch)
    assert 0 < counter.get_total_flops() < 20e6


def test_the_first_loss_of_a_classifier_is_near_a_uniform_guess(name: str) -> None:
    session = Session(TOYS[name]())
    if session.claims.classes is None:
        pytest.skip("no classes")
    [batch] = session.batches(limit=1)
    assert float(session.loss(batch).detach()) == pytest.approx(math.log(session.claims.classes), rel=0.1)


def test_evaluation_mode_is_deterministic(name: str) -> None:
    session = Session(TOYS[name]())
    [batch] = session.batches(limit=1)
    with evaluating(session.model), torch.no_grad():
        first, second = session.outputs(batch), session.outputs(batch)
    assert all(torch.equal(first[path], second[path]) for path in first)


def test_what_is_learned_on_train_holds_on_valid(name: str) -> None:
    session = Session(TOYS[name]())
    _skip_games(session)
    held_out = session.batches("valid", limit=5)

    def loss() -> float:
        with evaluating(session.model), torch.no_grad():
            return sum(float(session.loss(batch)) for batch in held_out)

    before = loss()
    for _ in range(8):
        for batch in session.loader("train"):
            session.step(batch)
    assert loss() < 0.7 * before


def test_a_batch_alone_and_with_others_gives_the_same_outputs(name: str) -> None:
    session = Session(TOYS[name]())
    data = session.loader("valid")
    if session.claims.couples_batch or isinstance(data.dataset, IterableDataset):  # type: ignore[attr-defined]
        pytest.skip("samples depend on each other, or come as a stream")
    samples = [data.dataset[index] for index in range(4)]  # type: ignore[attr-defined]
    alone, together = data.collate_fn(samples[:1]), data.collate_fn(samples)  # type: ignore[attr-defined]
    with evaluating(session.model), torch.no_grad():
        [single] = session.outputs(alone).values()
        [several] = session.outputs(together).values()
    torch.testing.assert_close(single[0], several[0])


def test_reading_the_same_index_twice_gives_the_same_sample(name: str) -> None:
    data = Session(TOYS[name]()).loader("train").dataset  # type: ignore[attr-defined]
    if isinstance(data, IterableDataset) or getattr(data, "transform", None):
        pytest.skip("a stream, or augmented")
    first, second = tensors(data[3]), tensors(data[3])
    assert all(torch.equal(first[path], second[path]) for path in first)
