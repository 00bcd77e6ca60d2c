import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gonogo.training import fingerprint, seeding
from gonogo.training.fingerprint import changed, digest, of_model, of_process


def net():
    """A layer with weights, and one with buffers."""
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def edit(parameter):
    with torch.no_grad():
        parameter[0] += 1e-6


MODEL_CHANGES = {
    "weight 0.bias": lambda model: edit(model[0].bias),
    "weight 0.weight": lambda model: model[0].weight.requires_grad_(False),
    "gradient 1.weight": lambda model: setattr(model[1].weight, "grad", torch.zeros(2)),
    "buffer 1.running_mean": lambda model: edit(model[1].running_mean),
    "mode 1": lambda model: model[1].eval(),
    "mode 0": lambda model: model[0].register_forward_hook(lambda *_: None),
    "mode model": lambda model: model.register_forward_pre_hook(lambda *_: None),
}


@pytest.mark.parametrize("name", MODEL_CHANGES)
def test_a_change_of_the_model_is_named(name):
    model = net()
    before = of_model(model)
    MODEL_CHANGES[name](model)
    assert changed(before, of_model(model)) == [name]


def test_a_change_of_dtype_is_named_for_every_part():
    model = net()
    before = of_model(model)
    assert "weight 0.weight" in changed(before, of_model(model.double()))


def test_what_is_new_or_gone_is_named_too():
    model = net()
    before = of_model(model)
    model.register_buffer("extra", torch.zeros(1))
    assert changed(before, of_model(model)) == changed(of_model(model), before) == ["buffer extra"]


PROCESS_CHANGES = {
    "random generator of Python": random.random,
    "random generator of NumPy": np.random.rand,
    "random generator of torch": lambda: torch.rand(1),
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "gradient mode": lambda: torch.set_grad_enabled(False),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "cuDNN switches": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "number of threads": lambda: torch.set_num_threads(2),
}


@pytest.fixture
def switches():
    """Puts back what these tests switch."""
    state, cudnn, threads = seeding.rng_state(), torch.backends.cudnn.benchmark, torch.get_num_threads()
    yield
    seeding.restore_rng(state)
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = cudnn


@pytest.mark.usefixtures("switches")
@pytest.mark.parametrize("name", PROCESS_CHANGES)
def test_a_change_of_the_process_is_named(name):
    before = of_process()
    PROCESS_CHANGES[name]()
    assert changed(before, of_process()) == [name]


def test_nothing_changed_is_nothing_named():
    model, batch = net(), torch.ones(3, 2)
    before = of_process() | of_model(model)
    with torch.no_grad(), seeding.seeded(1):
        model[0](batch)
        torch.rand(1)
    assert changed(before, of_process() | of_model(model)) == []


PLAIN = torch.arange(6.0).reshape(2, 3)
KINDS = {
    "bf16": PLAIN.bfloat16(),
    "fp8": PLAIN.to(torch.float8_e4m3fn),
    "bool": PLAIN > 2,
    "complex": torch.complex(PLAIN, PLAIN),
    "conjugate": torch.complex(PLAIN, PLAIN).conj(),
    "negative view": torch.complex(PLAIN, PLAIN).conj().imag,
    "0-d": torch.tensor(1.0),
    "empty": torch.empty(0, 3),
    "non-contiguous": PLAIN.t(),
    "expanded": PLAIN[:1].expand(4, 3),
    "sparse": PLAIN.to_sparse(),
    "meta": PLAIN.to("meta"),
    "needs gradient": nn.Parameter(PLAIN.clone()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tensor_has_a_digest_that_stays(kind):
    assert digest(KINDS[kind]) == digest(KINDS[kind])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("empty", "sparse", "meta")])
def test_other_content_gives_another_digest(kind):
    tensor = KINDS[kind]
    assert digest(torch.zeros_like(tensor.detach())) != digest(tensor)


def test_a_sparse_tensor_that_was_written_to_has_another_digest():
    sparse = PLAIN.to_sparse()
    before = digest(sparse)
    sparse.mul_(2)
    assert digest(sparse) != before


def test_layout_in_memory_does_not_matter():
    assert digest(PLAIN.t().contiguous()) == digest(PLAIN.t())


def test_shape_and_dtype_matter():
    assert len({digest(PLAIN), digest(PLAIN.reshape(3, 2)), digest(PLAIN.view(torch.int32))}) == 3


def test_a_layer_that_is_not_initialised_yet_has_a_digest():
    assert fingerprint.of_model(nn.LazyLinear(3))["weight weight"].startswith("not initialised")


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1), st.data())
def test_a_change_of_any_single_element_is_seen(values, data):
    tensor = torch.tensor(values)
    index = data.draw(st.integers(0, len(values) - 1))
    other = tensor.clone()
    other[index] = data.draw(st.floats(width=32, allow_nan=False).filter(lambda value: value != values[index]))
    assert digest(other) != digest(tensor)
