"""Work of steps. Truths are arithmetic: products of shapes."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from gonogo.sizing.card import fake_card
from gonogo.sizing.costs.workload import work_of
from gonogo.sizing.programs.program import Program

WIDTH, ROWS = 256, 64
PRODUCT = 2 * ROWS * WIDTH * WIDTH  # FLOPs of one layer forward


def network(layers=2):
    return nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(layers)))


def work(loss=lambda model, x: model(x).square().mean(), model=network, steps=2, **parts):
    def built():
        with torch.device(fake_card.DEVICE):
            return model()

    given = {"optimizers": lambda model: [torch.optim.AdamW(model.parameters())], **parts}
    program = Program("x", built, lambda: torch.empty(ROWS, WIDTH, device=fake_card.DEVICE), loss, **given)
    with work_of() as found:
        program.trace(steps=steps)
    return found


def flops(work, *phases):
    return sum(kernel.flops * kernel.times for kernel in work.kernels if kernel.phase in phases)


def attended(causal, dtype=torch.float16, grouped=False):
    def attend(model, x):
        heads = model(x).view(1, 4, ROWS, -1).to(dtype)
        few = heads[:, :2] if grouped else heads
        mixed = nn.functional.scaled_dot_product_attention(heads, few, few, is_causal=causal, enable_gqa=grouped)
        return mixed.float().mean()

    return [kernel for kernel in work(attend).kernels if kernel.kind == "attention"]


def test_flops_of_a_network_are_the_products_of_its_shapes():
    found = work()
    assert flops(found, "forward") == 2 * PRODUCT
    assert flops(found, "backward") == 3 * PRODUCT  # the first layer's input needs no gradient
    assert found.flops == found.model_flops == 5 * PRODUCT


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_work_is_that_of_one_step(steps):
    assert work(steps=steps).flops == 5 * PRODUCT


def test_micro_batches_multiply_the_work():
    assert work(micro=2).flops == 2 * work().flops


def test_what_is_recomputed_is_work_but_not_the_models():
    def again(model, x):
        return checkpoint(model, x.requires_grad_(), use_reentrant=False).square().mean()

    found = work(again)
    assert flops(found, "recompute") == PRODUCT  # the last layer's output is not needed again
    assert found.flops - found.model_flops == PRODUCT


def test_inference_is_all_forward():
    found = work(optimizers=lambda model: ())
    assert found.flops == flops(found, "forward") == 2 * PRODUCT


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_fused_attention_counts_in_full_and_takes_half_the_time_where_causal(dtype):
    full, half = attended(False, dtype), attended(True, dtype)
    scores = 2 * 4 * ROWS * ROWS * (WIDTH // 4)
    assert {kernel.phase: kernel.flops for kernel in half} == {"forward": 2 * scores, "backward": 5 * scores}
    assert [kernel.busy_flops for kernel in full] == [kernel.flops for kernel in full]
    assert [2 * kernel.busy_flops for kernel in half] == [kernel.flops for kernel in half]


def test_grouped_heads_cost_the_flops_of_all_queries():
    def total(kernels):
        return sum(kernel.flops for kernel in kernels)

    assert total(attended(True, grouped=True)) == total(attended(True))


def test_an_addition_reads_two_and_writes_one():
    found = work(lambda model, x: (model(x) + x).sum())
    [added] = [kernel for kernel in found.kernels if kernel.operator == "add" and kernel.phase == "forward"]
    assert added.bytes == 3 * ROWS * WIDTH * 4


def test_an_expanded_tensor_is_as_large_as_what_it_repeats():
    found = work(lambda model, x: (model(x) * x[:1].expand(ROWS, WIDTH)).sum())
    [product] = [kernel for kernel in found.kernels if kernel.operator == "mul" and kernel.phase == "forward"]
    assert product.bytes == (2 * ROWS + 1) * WIDTH * 4


def test_a_lookup_reads_the_rows_that_it_returns():
    table = 1 << 20

    def look(model, x):
        return model(x[:, :1].long().flatten()).sum()

    found = work(look, lambda: nn.Embedding(table, 8), optimizers=lambda model: ())
    assert sum(kernel.bytes for kernel in found.kernels) < table


def test_half_precision_matrices_are_told_from_the_rest():
    def mixed(model, x):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            return model(x).float().square().mean()

    assert work(mixed).dtype == "bfloat16"
    assert work().dtype == "float32"


def test_float32_matrices_go_through_tensor_units_where_the_program_allows_it():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        assert work().dtype == "tf32"
    finally:
        torch.set_float32_matmul_precision(before)


def test_what_goes_to_the_host_and_back_is_counted_once_each_way():
    def away(model, x):
        return (model(x).to("cpu").mul(2).to(fake_card.DEVICE)).sum()

    found = work(away, optimizers=lambda model: ())
    assert found.total("host link") == 2 * ROWS * WIDTH * 4
    assert found.total("host") == 2 * ROWS * WIDTH * 4


def test_optimizers_are_bound_by_memory():
    found = work()
    update = [kernel for kernel in found.kernels if kernel.phase == "update"]
    weights = 2 * WIDTH * WIDTH * 4
    assert {kernel.kind for kernel in update} == {"memory"}
    assert sum(kernel.bytes * kernel.times for kernel in update) >= 7 * weights


def test_exchanges_are_told_from_kernels(fake_ranks):
    def exchanging(model, x):
        y = model(x)
        torch.distributed.all_reduce(y.detach())
        return y.square().mean()

    [one] = [kernel for kernel in work(exchanging).kernels if kernel.kind == "exchange"]
    assert (one.operator, one.bytes) == ("all_reduce", ROWS * WIDTH * 4)


@pytest.fixture
def fake_ranks():
    from torch.testing._internal.distributed.fake_pg import FakeStore

    torch.distributed.init_process_group("fake", rank=0, world_size=4, store=FakeStore())
    yield
    torch.distributed.destroy_process_group()


def test_nothing_is_left_behind():
    from torch.distributed.tensor._sharding_prop import ShardingPropagator

    from gonogo.sizing.card.history import History

    before = History.mark, ShardingPropagator._propagate_tensor_meta_non_cached
    with pytest.raises(ZeroDivisionError), work_of():
        1 / 0  # noqa: B018
    assert (History.mark, ShardingPropagator._propagate_tensor_meta_non_cached) == before
