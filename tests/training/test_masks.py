import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.training.masks import follow_queries

FUTURE = torch.full((16, 16), float("-inf")).triu(1)


class ByKeyword(nn.Module):
    def forward(self, x):
        return functional.scaled_dot_product_attention(x, x, x, attn_mask=FUTURE)


class ByPlace(nn.Module):
    def forward(self, x):
        return functional.scaled_dot_product_attention(x, x, x, FUTURE)


class Layered(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerDecoderLayer(24, 2, 48, dropout=0.0, batch_first=True)

    def forward(self, x):
        return self.layer(x, x, tgt_mask=FUTURE, memory_mask=FUTURE)


@pytest.mark.parametrize("kind", [ByKeyword, ByPlace, Layered])
@pytest.mark.parametrize("training", [True, False])
def test_a_float32_mask_hides_the_future_from_float64_queries(kind, training):
    torch.manual_seed(0)
    model = follow_queries(kind().double().train(training))
    x = torch.randn(16, 16, 24, dtype=torch.float64)
    changed = torch.cat([x[:, :8], torch.randn(16, 8, 24, dtype=torch.float64)], dim=1)
    with torch.no_grad():
        assert torch.equal(model(x)[:, :8], model(changed)[:, :8])


def test_an_error_in_the_forward_leaves_no_mode_behind():
    model = follow_queries(ByKeyword().double())
    with pytest.raises(RuntimeError):
        model(torch.randn(2, 5, 24, dtype=torch.float64))
    assert torch.overrides._len_torch_function_stack() == 0
