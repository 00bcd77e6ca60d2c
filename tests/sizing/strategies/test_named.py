"""Strategies against arithmetic and against what the real thing keeps."""

from dataclasses import replace

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.sizing.small_programs import BLOCKS, Block, Language, kinds, language, parameters, peak, traced, under
from torch import nn
from torch.utils.checkpoint import checkpoint

from gonogo.errors import SubjectError
from gonogo.sizing.card import fake_card
from gonogo.sizing.programs.blocks import blocks
from gonogo.sizing.programs.program import of_subject
from gonogo.sizing.strategies.named import EXCLUSIVE, NAMES, apply, parse
from gonogo.sizing.strategies.optimizers import AdamW8bit
from gonogo.testing.toys.classifier import classifier
from gonogo.training.session import Session


def total(found):
    return found["weights"] + found["gradients"] + found.get("optimizer states", 0)


@pytest.mark.parametrize(
    ("text", "each"),
    [("fp32", 16), ("bf16", 8), ("fp16", 8), ("master", 16), ("amp", 16), ("sgd", 12), ("bf16,sgd", 6)],
)
def test_bytes_for_each_parameter_are_those_of_the_format(text, each):
    assert total(kinds(text)) == each * parameters()


def test_tied_weights_stay_tied_in_another_format():
    usual = language()

    def tied():
        model = usual.model()
        model.head.weight = model.embedding.weight
        return model

    with fake_card.card():
        model = under("bf16", program=replace(usual, model=tied)).model()
        assert model.head.weight is model.embedding.weight
        assert model.head.weight.dtype is torch.bfloat16


def test_checkpointing_keeps_less_and_works_more():
    usual, again = traced("micro-batch=64"), traced("micro-batch=64,checkpointing")
    assert again.history.peak().bytes < usual.history.peak().bytes
    assert again.history.operators > usual.history.operators


def test_checkpointing_is_what_a_program_with_checkpoints_of_its_own_takes():
    class Own(Language):
        def forward(self, tokens):
            x = self.embedding(tokens)
            for layer in self.layers:
                x = checkpoint(layer, x, use_reentrant=False)
            return self.head(x)

    def own():
        with torch.device(fake_card.DEVICE):
            return Own()

    program = replace(language(64), model=own)
    assert peak("", program=program) == peak("checkpointing", program=language(64))


def test_blocks_are_the_children_of_the_list_that_repeats():
    assert blocks(model := Language()) == list(model.layers)
    nested = nn.Sequential(nn.Linear(4, 4), nn.Sequential(*(Block() for _ in range(3))), nn.Linear(4, 4))
    assert blocks(nested) == list(nested[1])
    assert blocks(plain := nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))) == [plain[0], plain[2]]


@pytest.mark.parametrize("size", [17, 4095, 4096, 4097, 100_000])
def test_eight_bit_states_have_the_layout_of_the_library(size):
    library = pytest.importorskip("bitsandbytes")
    ours, theirs = (nn.Parameter(torch.zeros(size)) for _ in range(2))
    real = library.optim.AdamW8bit([theirs])
    real.init_state(real.param_groups[0], theirs, 0, 0)
    simulated = AdamW8bit([ours])
    ours.grad = torch.zeros(size)
    simulated.step()
    assert _layout(simulated.state[ours]) == _layout(real.state[theirs])


def _layout(state):
    return sorted((str(value.dtype), value.numel()) for value in state.values() if isinstance(value, torch.Tensor))


def test_eight_bit_states_take_two_bytes_and_their_scales():
    large = sum(one.numel() for one in Language().parameters() if one.numel() >= 4096)
    small = parameters() - large
    assert kinds("adamw8bit")["optimizer states"] == 2 * large + 8 * large // 256 + 8 * small + 2048


def test_adamw_takes_less_in_one_kernel_than_over_lists():
    assert peak("micro-batch=1,adamw-fused") < peak("micro-batch=1,adamw-foreach")
    assert peak("micro-batch=1,adamw-for-loop") < peak("micro-batch=1,adamw-foreach")
    assert peak("adamw-foreach") == peak("")


def test_states_on_the_host_leave_nothing_on_the_card_but_weights_and_gradients():
    found = kinds("bf16,offload-states")
    assert "optimizer states" not in found
    assert total(found) == 4 * parameters()


def test_the_host_holds_the_states_that_the_card_does_not():
    parameter = nn.Parameter(torch.zeros(10_000))
    optimizer = torch.optim.AdamW([parameter])
    parameter.grad = torch.zeros(10_000)
    optimizer.step()
    states = sum(value.nbytes for value in optimizer.state[parameter].values() if value.dim())
    [offload] = [one for one in parse("bf16,offload-states") if one.host_bytes_per_parameter]
    assert offload.host_bytes_per_parameter * 10_000 == states + parameter.nbytes


def test_adapters_cut_gradients_and_states_and_keep_the_base():
    found, whole = kinds("lora=2"), kinds("")
    added = BLOCKS * 2 * 2 * (64 + 256)
    assert found["weights"] == whole["weights"] + 4 * added
    assert found["gradients"] == 4 * added
    assert found["optimizer states"] == 8 * added


def test_frozen_parts_have_neither_gradients_nor_states():
    left = parameters() - sum(one.numel() for one in Language().layers.parameters())
    assert kinds("frozen=layers")["optimizer states"] == kinds("frozen=layers.*")["optimizer states"] == 8 * left
    with pytest.raises(SubjectError, match=r"no parameter.*Did you mean 'layers'"):
        traced("frozen=layer")


def test_accumulation_does_nothing_for_static_memory():
    assert kinds("accumulate=4") == kinds("")
    assert peak("accumulate=4") >= peak("")


def test_shapes_and_tokens_follow_rows_and_positions():
    program = under("micro-batch=4,sequence=16")
    with fake_card.card():
        assert program.batch().shape == (4, 16)
    assert program.tokens == 64


def test_attention_written_out_keeps_scores():
    def attend(model, tokens):
        x = model.embedding(tokens).view(8, 1, -1, 64).half()
        return nn.functional.scaled_dot_product_attention(x, x, x).float().mean()

    program = replace(language(8), loss=attend)
    sizes = {one.size for one in traced("attention=math", program=program).history.allocations}
    assert 8 * 32 * 32 * 2 in sizes
    assert 8 * 32 * 32 * 2 not in {one.size for one in traced("attention=fused", program=program).history.allocations}


def test_a_subject_is_changed_with_its_own_optimizer():
    subject = of_subject(Session(classifier()))
    found = {text: kinds(text, program=subject) for text in ("", "bf16")}
    assert total(found["bf16"]) * 2 == total(found[""])


@pytest.mark.parametrize("group", EXCLUSIVE)
def test_strategies_that_contradict_each_other_are_refused_by_name(group):
    gpus = 2 if "fsdp" in group else 1
    with pytest.raises(SubjectError, match=f"{group[0]} and {group[1]} contradict"):
        parse(f"{group[1]},{group[0]}", gpus)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("adam8bit", "Did you mean 'adamw8bit'"),
        ("lora", "as in lora=16"),
        ("accumulate=0", "at least 1"),
        ("attention=mat", "Did you mean 'math'"),
        ("bf16=2", "takes no value"),
        ("bf16,bf16", "given twice"),
        ("fsdp", "several GPUs; found 1"),
        ("frozen", "which parameters"),
    ],
)
def test_a_wrong_strategy_says_what_is_right(text, said):
    with pytest.raises(SubjectError, match=said):
        parse(text)


def test_the_order_in_which_strategies_are_written_does_not_matter():
    one, other = (
        parse(text, 2) for text in ("accumulate=2,fsdp,bf16,checkpointing", "checkpointing,bf16,fsdp,accumulate=2")
    )
    assert [each.name for each in one] == [each.name for each in other]


def test_what_no_card_has_confirmed_says_so():
    assert all(one.unvalidated for one in parse("bf16,adamw8bit,checkpointing,fsdp", 2))
    assert not parse("amp")[0].unvalidated


def test_several_gpus_without_sharding_are_data_parallel():
    assert [one.name for one in parse("bf16", 2)] == ["bf16", "ddp"]


@settings(max_examples=5, deadline=None)
@given(
    st.sampled_from(["", "bf16", "amp", "checkpointing", "master,checkpointing"]),
    st.integers(1, 32),
    st.integers(1, 32),
)
def test_more_rows_never_take_less(text, rows, more):
    small, large = (peak(f"micro-batch={number},{text}") for number in (rows, rows + more))
    assert small <= large


@pytest.mark.slow
@settings(max_examples=12, phases=[Phase.generate], deadline=None)
@given(st.sets(st.sampled_from(sorted(NAMES)), max_size=5), st.integers(1, 4))
def test_whatever_is_not_refused_can_be_traced(names, gpus):
    values = {"micro-batch": "4", "sequence": "8", "frozen": "embedding.*", "lora": "2", "accumulate": "2"}
    text = ",".join(f"{name}={values[name]}" if name in values else name for name in names)
    try:
        strategies = parse(text, gpus)
    except SubjectError:
        return
    assert apply(language(), strategies).trace(steps=2).history.peak().bytes > 0
