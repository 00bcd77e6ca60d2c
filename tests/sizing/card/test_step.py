"""Steps without bytes. Truths are arithmetic: sizes of what must be there."""

import pytest
import torch
from torch import nn

from gonogo.sizing.card import fake_card
from gonogo.sizing.card.step import Untraceable
from gonogo.sizing.programs.program import Program, of_subject
from gonogo.testing.toys.classifier import classifier
from gonogo.training.session import Session

WIDTH, ROWS = 256, 64
WEIGHTS = 2 * (WIDTH * WIDTH + WIDTH) * 4


def network():
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))


def program(model=network, loss=lambda model, x: model(x).square().mean(), rows=ROWS, **parts):
    def built():
        with torch.device(fake_card.DEVICE):
            return model()

    given = {"optimizers": lambda model: [torch.optim.AdamW(model.parameters())], **parts}
    return Program("x", built, lambda: torch.empty(rows, WIDTH, device=fake_card.DEVICE), loss, **given)


def peak(program, **options):
    return program.trace(workspace=0, **options).history.peak()


def test_a_small_network_trains_on_the_card_of_this_torch():
    assert fake_card.works()


def test_weights_gradients_and_states_are_exact():
    kinds = peak(program()).kinds
    assert kinds["weights"] == WEIGHTS
    assert kinds["gradients"] == WEIGHTS
    assert kinds["optimizer states"] == 2 * WEIGHTS  # its step counters stay on the host


def test_what_is_kept_for_backward_grows_with_the_batch():
    small, large = (peak(program(rows=rows)).bytes for rows in (64, 8192))
    assert large > small


def test_a_checkpointed_network_keeps_less():
    def checkpointed(model, x):
        return torch.utils.checkpoint.checkpoint(model, x, use_reentrant=False).square().mean()

    def deep():
        return nn.Sequential(*(network() for _ in range(6)))

    kept = program(deep, rows=8192).trace().history
    again = program(deep, checkpointed, rows=8192).trace().history

    def activations(history):
        return sum(history.allocations[n].size for n, kind in history.kinds.items() if kind == "activations")

    assert activations(again) < activations(kept) / 2


def test_losses_that_are_kept_are_a_leak():
    kept = []

    def hoarding(model, x):
        kept.append(model(x).square().mean())
        return kept[-1]

    assert program(loss=hoarding).trace().growth > 0
    assert program().trace().growth == 0


def test_attention_without_a_mask_takes_the_kernel_that_keeps_no_scores():
    def attend(model, x):
        heads = model(x).view(1, 1, ROWS * 64, -1).half()
        return nn.functional.scaled_dot_product_attention(heads, heads, heads).float().mean()

    scores = (ROWS * 64) ** 2 * 2
    assert peak(program(loss=attend, rows=ROWS * 64)).bytes < WEIGHTS * 4 + scores * 4
    assert all(one.size < scores for one in program(loss=attend, rows=ROWS * 64).trace().history.allocations)


def test_autocast_keeps_half_precision_copies_of_weights():
    def mixed(model, x):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            return model(x).float().square().mean()

    sizes = {one.size for one in program(loss=mixed).trace().history.allocations if one.phase == "forward"}
    assert WIDTH * WIDTH * 2 in sizes


def test_cross_entropy_under_autocast_takes_the_type_that_it_asks_for_and_sums_in_single_precision():
    def mixed(model, x):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            return nn.functional.cross_entropy(model(x), torch.zeros(ROWS, dtype=torch.long))

    sizes = [(one.operator, one.size) for one in program(loss=mixed).trace(steps=1).history.allocations]
    softmax = sizes.index(("aten._log_softmax.default", ROWS * WIDTH * 2))
    assert sizes[softmax + 1] == ("aten._to_copy.default", ROWS * WIDTH * 4)


def test_a_recurrent_layer_under_autocast_casts_its_weights_once():
    def mixed(model, x):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            return model(x.view(4, -1, WIDTH))[0].float().square().mean()

    lstm = program(lambda: nn.LSTM(WIDTH, WIDTH, batch_first=True), mixed).trace(steps=1).history
    half = 4 * WIDTH * WIDTH * 2  # bytes of a matrix of the four gates
    casts = [one for one in lstm.allocations if one.size == half and "_to_copy" in one.operator]
    assert len(casts) == 2  # of the input, and of the state


@pytest.mark.parametrize("tied", [False, True])
def test_a_model_that_is_converted_keeps_its_parameters_and_their_ties(tied):
    def converted():
        model = network()
        if tied:
            model[2].weight = model[0].weight
        return model.to(torch.bfloat16)

    kinds = peak(program(converted, lambda model, x: model(x.bfloat16()).float().square().mean())).kinds
    assert kinds["weights"] == (WEIGHTS - WIDTH * WIDTH * 4 * tied) // 2


def test_the_peak_names_the_module_that_asked_for_it():
    found = peak(program(rows=65536), steps=1)
    assert found.cause.phase in ("forward", "backward", "loss")
    assert found.cause.module in ("0", "1", "2", "")


def test_a_value_that_is_asked_for_is_counted():
    traced = program(loss=lambda model, x: model(x).mean() * (1.0 if float(x.sum()) > 0 else 2.0)).trace()
    assert sum(traced.guesses.values()) == 3


def test_a_mask_is_taken_to_keep_everything_and_that_is_said():
    traced = program(loss=lambda model, x: model(x)[x.sum(1) > 0].square().mean()).trace()
    assert traced.bounded


def test_an_operator_that_needs_values_is_named_with_its_place():
    def packed(model, x):
        lengths = torch.full((ROWS,), 3, device="cpu")
        pack = nn.utils.rnn.pack_padded_sequence(model(x).view(ROWS, 4, -1), lengths, batch_first=True)
        return pack.data.mean()

    with pytest.raises(Untraceable, match="_pack_padded_sequence"):
        program(loss=packed).trace()


def test_a_subject_is_traced_with_its_own_step():
    traced = of_subject(Session(classifier())).trace()
    assert traced.parameters == sum(p.numel() for p in Session(classifier()).model.parameters())
    assert traced.history.peak().kinds["optimizer states"] > 0


def test_tied_weights_stay_tied_when_a_model_moves_to_the_card():
    model = network()
    model[2].weight = model[0].weight
    with fake_card.card():
        fake_card.put(model)
    assert model[2].weight is model[0].weight
    assert model[0].weight.device.type == fake_card.DEVICE
