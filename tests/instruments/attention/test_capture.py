"""Attention is seen as it is, and what is watched does not notice."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.errors import NotApplicable
from gonogo.instruments.attention.capture import attention_maps, capturing
from gonogo.instruments.attention.weights import recomputed
from gonogo.training.session import Session
from gonogo.training.subject import Subject

B, H, T, D = 3, 4, 6, 16
PADDING = torch.arange(T) >= torch.tensor([[6], [4], [3]])
CAUSAL = nn.Transformer.generate_square_subsequent_mask(T)


def words(seed=0):
    return torch.randn(B, T, D, generator=torch.Generator().manual_seed(seed))


def encoder(**changes):
    layer = nn.TransformerEncoderLayer(D, H, 32, batch_first=True, **changes)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=not changes)


class Shared(nn.Module):
    """Four heads of queries share two of keys."""

    def forward(self, x):
        q, k = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x, heads in ((x, 4), (x[..., :8], 2)))
        return functional.scaled_dot_product_attention(q, k, k, is_causal=True, enable_gqa=True)


CALLS = {
    "MultiheadAttention": (nn.MultiheadAttention(D, H, batch_first=True), lambda m, x: m(x, x, x)[0]),
    "without weights": (nn.MultiheadAttention(D, H), lambda m, x: m(x, x, x, need_weights=False)[0]),
    "masked": (nn.MultiheadAttention(D, H, batch_first=True), lambda m, x: m(x, x, x, key_padding_mask=PADDING)[0]),
    "causal": (
        nn.MultiheadAttention(D, H, batch_first=True),
        lambda m, x: m(x, x, x, attn_mask=CAUSAL, is_causal=True, need_weights=False)[0],
    ),
    "fast path": (encoder(), lambda m, x: m(x, src_key_padding_mask=PADDING)),
    "norm first": (encoder(norm_first=True), lambda m, x: m(x, mask=CAUSAL)),
    "decoder": (nn.TransformerDecoderLayer(D, H, 32, batch_first=True), lambda m, x: m(x, x.flip(1), CAUSAL)),
    "shared keys": (Shared(), lambda m, x: m(x)),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")
def test_what_is_watched_gives_the_same_bits(name, training, gradients):
    module, call = CALLS[name]
    module.train(training)
    with torch.set_grad_enabled(gradients):
        torch.manual_seed(1)
        plain, drawn = call(module, words()), torch.rand(1)
        torch.manual_seed(1)
        with capturing(module) as captured:
            watched = call(module, words())
        assert torch.equal(plain, watched)
        assert torch.equal(drawn, torch.rand(1))
    assert captured.maps
    assert not captured.unseen
    assert all(not hook for hook in (module._forward_hooks, module.__dict__.get("forward")))


def test_gradients_stay_the_same():
    module = encoder()
    gradients = []
    for watched in (False, True):
        torch.manual_seed(1)
        with capturing(module) if watched else torch.enable_grad():
            module(words()).square().sum().backward()
        gradients.append([p.grad for p in module.parameters()])
        module.zero_grad()
    assert all(torch.equal(one, two) for one, two in zip(*gradients, strict=True))


def test_the_weights_of_a_kernel_are_those_that_the_module_itself_would_return():
    module = nn.MultiheadAttention(D, H, batch_first=True, add_zero_attn=True, bias=False).eval()
    with capturing(module) as captured:
        module(words(), words(), words(), key_padding_mask=PADDING, need_weights=False)
    _, wanted = module(words(), words(), words(), key_padding_mask=PADDING, average_attn_weights=False)
    [found] = captured.maps
    assert torch.allclose(found.weights, wanted, atol=1e-6)
    assert found.allowed is not None
    assert found.valid[1].eq(5).all()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("added", [False, True])
def test_computed_weights_times_values_are_what_the_kernel_gives(causal, added):
    q, k, v = (torch.randn(B, H, T, D, dtype=torch.float64) for _ in range(3))
    given = torch.randn(T, T, dtype=torch.float64) if added else None
    if causal:
        wanted = functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3)
        assert torch.allclose(recomputed(q, k, None, True, 0.3).weights @ v, wanted)
    else:
        wanted = functional.scaled_dot_product_attention(q, k, v, given)
        assert torch.allclose(recomputed(q, k, given).weights @ v, wanted)


def test_each_map_names_the_module_that_called():
    with capturing(module := encoder()) as captured:
        module(words())
    assert [one.where for one in captured.maps] == ["layers.0.self_attn", "layers.1.self_attn"]


def test_rows_without_a_key_are_counted():
    q = words().unsqueeze(1)
    mask = torch.ones(B, 1, T, T, dtype=torch.bool)
    mask[0, :, 2] = False
    found = recomputed(q, q, mask)
    assert found.empty == 1
    assert found.over_keys < 1e-6
    assert torch.isnan(found.entropy).sum() == 1


def test_of_a_long_sequence_some_queries_are_kept():
    q = torch.randn(9, 2, 3000, 4)
    with capturing(nn.Identity(), budget=2**16) as captured:
        functional.scaled_dot_product_attention(q, q, q)
    [found] = captured.maps
    assert found.weights.numel() <= 2**16
    assert found.shape == (9, 2, 3000, 3000)
    assert found.thinned == "1 of 3000 queries, 8 of 9 samples"


def test_entropy_is_one_where_all_keys_are_read_alike():
    zero = torch.zeros(1, 1, T, D)
    found = recomputed(zero, zero, causal=True)
    assert torch.allclose(found.entropy[..., 1:], torch.ones(1, 1, T - 1, dtype=torch.float64))
    assert bool(torch.isnan(found.entropy[..., 0]))


class Flexible(nn.Module):
    def forward(self, x):
        from torch.nn.attention.flex_attention import flex_attention

        return flex_attention(*[x.unflatten(-1, (H, -1)).transpose(1, 2)] * 3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_kernel_that_hides_its_weights_is_named():
    given = Subject("hidden", Flexible, lambda model, x: model(x).mean(), splits={"train": lambda: [words()]})
    captured = attention_maps(Session(given))
    assert not captured.maps
    with pytest.raises(NotApplicable, match="flex_attention"):
        captured.refuse_unseen()


def test_a_model_without_attention_is_said_to_have_none():
    given = Subject("plain", lambda: nn.Linear(D, 1), lambda m, x: m(x).mean(), splits={"train": lambda: [words()]})
    with pytest.raises(NotApplicable, match="no attention was seen"):
        attention_maps(Session(given)).refuse_unseen()
