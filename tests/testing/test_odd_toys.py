"""The odd toys are as odd as they say."""

import pytest
import torch

from gonogo.testing.toys import TOYS
from gonogo.testing.toys.eight_bit import SIGNED, UNSIGNED, AdamW8bit, quantised, restored
from gonogo.training.session import Session


@pytest.mark.parametrize(("code", "least"), [(SIGNED, 1e-6), (UNSIGNED, 1e-7)])
def test_a_dynamic_code_fits_in_eight_bits_and_keeps_large_values_nearly_and_small_ones_roughly(code, least):
    assert len(code) == 255
    assert (code.diff() > 0).all()
    values = torch.logspace(0, -4, 700)
    bits, scales = quantised(values, code)
    assert bits.dtype is torch.uint8
    error = (restored(bits, scales, code, values) / values - 1).abs()
    assert error[:100].max() < 0.03
    assert (restored(bits, scales, code, values) >= 0).all()
    assert code[code > 0].min() < least


def test_eight_bits_learn_as_the_full_optimizer_does():
    losses = []
    for optimizer in (AdamW8bit, torch.optim.AdamW):
        torch.manual_seed(0)
        session = Session(TOYS["eight_bit"]())
        model = session.build_model()
        steps = optimizer(model.parameters(), lr=5e-3, betas=(0.9, 0.99))
        [batch] = session.batches(limit=1)
        losses.append([session.step(batch, model, steps) for _ in range(60)])
    assert losses[0][0] == losses[1][0]
    assert losses[0][20] == pytest.approx(losses[1][20], rel=0.1)


def test_loaded_states_are_bits_again():
    session = Session(TOYS["eight_bit"]())
    session.step(session.batches(limit=1)[0])
    fresh = session.build_optimizer(session.build_model())
    fresh.load_state_dict(session.optimizer.state_dict())
    kinds = {state[name].dtype for state in fresh.state.values() for name in ("mean", "square")}
    assert kinds == {torch.uint8}


def test_the_loss_scale_skips_its_first_step_and_then_fits():
    session = Session(TOYS["loss_scale"]())
    before = [p.detach().clone() for p in session.model.parameters()]
    changed = []
    for batch in session.batches(limit=8):
        session.step(batch)
        changed.append(any(not torch.equal(p, b) for p, b in zip(session.model.parameters(), before, strict=True)))
    assert not changed[0]
    assert changed[-1]


def test_some_experts_get_no_sample_in_a_batch_and_a_skipped_block_gets_no_gradient():
    session = Session(TOYS["mixture"]())
    chosen = [session.model.router(batch["features"]).argmax(-1).unique() for batch in session.batches(limit=8)]
    assert min(map(len, chosen)) < len(torch.cat(chosen).unique())
    session = Session(TOYS["stochastic_depth"]())
    session.model.train()
    gradients = []
    for batch in session.batches(limit=8) * 3:
        session.model.zero_grad()
        session.loss(batch).backward()
        gradients.append(session.model[1].branch[1].weight.grad is None)
    assert set(gradients) == {True, False}
