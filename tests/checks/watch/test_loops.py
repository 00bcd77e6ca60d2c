"""Loops of many manners in a few lines each: those that are right are not accused, those that are wrong are named."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from gonogo.core.criterion import Status
from gonogo.execution.inline import run
from gonogo.training.subject import Subject
from gonogo.watch.inside import record

STEPS = 24


def failed(loop) -> list[str]:
    """The checks that fail on what a loop does."""
    torch.manual_seed(0)
    report = run(Subject(name="loop", recording=record(loop)), "watch", device="cpu", among="watch.")
    return [result.id for result in report.results if result.status in (Status.FAIL, Status.ERROR)]


def data():
    x = torch.randn(64, 6)
    return x, x[:, :3].argmax(1)


def network():
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 3))


def test_a_closure_may_run_backward_many_times():
    x, y = data()
    model = network()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)

    def closure():
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        return loss

    assert failed(lambda: [optimizer.step(closure) for _ in range(8)]) == []


def test_a_generator_may_leave_gradients_in_the_critic():
    x, _ = data()
    generator, critic = nn.Linear(4, 6), nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
    first, second = torch.optim.Adam(generator.parameters()), torch.optim.Adam(critic.parameters())

    def loop():
        for _ in range(STEPS):
            second.zero_grad()
            (critic(generator(torch.randn(64, 4)).detach()).mean() - critic(x).mean()).backward()
            second.step()
            first.zero_grad()
            (-critic(generator(torch.randn(64, 4))).mean()).backward()
            first.step()

    assert failed(loop) == []


@pytest.mark.parametrize(("clears_early", "found"), [(False, []), (True, ["watch.clearing"])])
def test_micro_batches_may_be_accumulated_but_not_cleared_away(clears_early, found):
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for step in range(4 * STEPS):
            if clears_early:
                optimizer.zero_grad()
            (functional.cross_entropy(model(x[step % 4 :: 4]), y[step % 4 :: 4]) / 4).backward()
            if step % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()

    assert failed(loop) == found


def test_zero_initialised_adapters_and_experts_that_take_turns_are_trained():
    x, y = data()
    down, up, base = nn.Linear(6, 2, bias=False), nn.Linear(2, 3, bias=False), nn.Linear(6, 3)
    experts = nn.ModuleList([nn.Linear(6, 3) for _ in range(4)])
    nn.init.zeros_(up.weight)
    base.requires_grad_(False)

    class Adapted(nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.up, self.base, self.experts = down, up, base, experts

        def forward(self, x):
            return self.base(x) + self.up(self.down(x)) + self.experts[0](x)

    model = Adapted()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])

    def loop():
        for _ in range(STEPS):
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    assert failed(loop) == []


def test_a_teacher_in_training_mode_under_no_grad_is_no_evaluation():
    x, y = data()
    model, teacher = network(), network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(x, y), 8, shuffle=True)

    def loop():
        for _ in range(3):
            for a, _ in loader:
                with torch.no_grad():
                    target = teacher(a).softmax(1)
                optimizer.zero_grad()
                functional.cross_entropy(model(a), target).backward()
                optimizer.step()

    assert failed(loop) == []


def test_cross_entropy_of_log_probabilities_is_right():
    x, y = data()
    model = nn.Sequential(nn.Linear(6, 3), nn.LogSoftmax(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop(loss):
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()

    assert failed(lambda: loop(functional.nll_loss)) == []
    assert failed(lambda: loop(functional.cross_entropy)) == []


@pytest.mark.parametrize(("shape", "found"), [((-1, 1), []), ((-1,), ["watch.loss-inputs"])])
@pytest.mark.filterwarnings("ignore:Using a target size:UserWarning")
def test_predictions_are_compared_with_their_own_targets(shape, found):
    x, _ = data()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def loop():
        for _ in range(STEPS):
            optimizer.zero_grad()
            functional.mse_loss(model(x), x.sum(1).reshape(shape)).backward()
            optimizer.step()

    assert failed(loop) == found


def test_a_schedule_that_starts_at_zero_is_a_warm_up():
    x, y = data()
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(step / 10, 1.0))

    def loop():
        for _ in range(STEPS):
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step()

    assert failed(loop) == []


@pytest.mark.parametrize(("forgotten", "found"), [(False, []), (True, ["watch.best-weights"])])
def test_kept_weights_in_an_object_are_found(forgotten, found):
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    class Keeper:
        def __init__(self):
            self.best_state = {}

        def run(self):
            for _ in range(4):
                for _ in range(6):
                    optimizer.zero_grad()
                    functional.cross_entropy(model(x), y).backward()
                    optimizer.step()
                with torch.no_grad():
                    model.eval()(x)
                model.train()
                state = model.state_dict()
                self.best_state = state if forgotten else {name: value.clone() for name, value in state.items()}

    assert failed(Keeper().run) == found


def test_an_optimizer_may_clear_gradients_itself_and_find_its_own_rate():
    x, y = data()
    model = network()

    class Own(torch.optim.Optimizer):
        def __init__(self, parameters):
            super().__init__(parameters, {"lr": None})

        @torch.no_grad()
        def step(self):
            for parameter in self.param_groups[0]["params"]:
                parameter -= 0.1 * parameter.grad
                parameter.grad = None

    optimizer = Own(model.parameters())

    def loop():
        for _ in range(STEPS):
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    assert failed(loop) == []


@pytest.mark.parametrize("beside", [False, True])
def test_an_attack_in_evaluation_mode_is_no_training_in_evaluation_mode(beside):
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for _ in range(STEPS):
            attacked = torch.zeros_like(x).requires_grad_() if beside else x.clone().requires_grad_()
            model.eval()
            functional.cross_entropy(model(x + attacked if beside else attacked), y).backward()
            model.train()
            optimizer.zero_grad()
            functional.cross_entropy(model(x + 0.01 * attacked.grad.sign()), y).backward()
            optimizer.step()

    found = statuses(loop)
    assert found["watch.clearing"] is found["watch.training-mode"] is Status.PASS


def test_gradients_may_come_from_autograd_grad():
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for _ in range(STEPS):
            found = torch.autograd.grad(functional.cross_entropy(model(x), y), list(model.parameters()))
            for parameter, gradient in zip(model.parameters(), found, strict=True):
                parameter.grad = gradient
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    assert failed(loop) == []


def statuses(loop) -> dict[str, Status]:
    """How each check ends that has something to judge."""
    torch.manual_seed(0)
    report = run(Subject(name="loop", recording=record(loop)), "watch", device="cpu", among="watch.")
    return {result.id: result.status for result in report.results}


def test_a_loss_may_rise_towards_a_target_that_a_network_computes():
    x, _ = data()
    model, target = nn.Linear(6, 1), nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scale = [1.0]

    def loop():
        for _ in range(40):
            scale[0] *= 1.2
            with torch.no_grad():
                wanted = scale[0] * target(x)
            optimizer.zero_grad()
            functional.mse_loss(model(x), wanted).backward()
            optimizer.step()

    assert statuses(loop)["watch.trend"] is Status.PASS


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")
def test_a_schedule_may_be_drawn_before_training():
    x, y = data()
    model = network()

    def loop():
        drawn = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        path = torch.optim.lr_scheduler.CosineAnnealingLR(drawn, T_max=10)
        for _ in range(100):
            drawn.step()
            path.step()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(STEPS):
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    found = statuses(loop)
    assert {found["watch.parameters"], found["watch.schedule"]} == {Status.PASS, Status.SKIP}


def _stepping(model, loss, steps=STEPS):
    """A loop of plain steps on what `loss(model)` gives."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def loop():
        for _ in range(steps):
            optimizer.zero_grad()
            loss(model).backward()
            optimizer.step()

    return loop


RIGHT = {
    "log_softmax into kl_div": lambda s, y: functional.kl_div(s.log_softmax(1), _one_hot(y), reduction="sum"),
    "log_softmax into ctc_loss": lambda s, y: _ctc(s.log_softmax(1)),
    "smoothed labels": lambda s, y: functional.binary_cross_entropy_with_logits(s, 0.9 * _one_hot(y) + 0.2),
}
WRONG = {
    "softmax into kl_div": lambda s, y: functional.kl_div(s.softmax(1), _one_hot(y)),
    "log_softmax of softmax": lambda s, y: functional.nll_loss(s.softmax(1).log_softmax(1), y),
    "scores into ctc_loss": lambda s, y: _ctc(s),
    "labels of plus and minus one": lambda s, y: functional.binary_cross_entropy_with_logits(s, 2 * _one_hot(y) - 1),
}


def _one_hot(y):
    return functional.one_hot(y, 3).float()


def _ctc(scores):
    whole = scores[:, None, :].expand(-1, 2, -1)
    lengths = torch.full((2,), len(scores))
    return functional.ctc_loss(whole, torch.tensor([[1, 2], [2, 1]]), lengths, torch.tensor([2, 2]))


@pytest.mark.parametrize("name", RIGHT | WRONG)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
def test_loss_functions_get_their_own_kind_of_numbers(name):
    x, y = data()
    found = failed(_stepping(nn.Linear(6, 3), lambda model: (RIGHT | WRONG)[name](model(x), y), steps=6))
    assert ("watch.loss-inputs" in found) == (name in WRONG)


@pytest.mark.parametrize(("shift", "status"), [(1, Status.PASS), (0, Status.WARN)])
def test_a_language_model_is_not_asked_for_the_token_that_it_is_given(shift, status):
    torch.manual_seed(0)
    tokens = torch.randint(0, 9, (4, 13))
    model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 9))

    def loss(model):
        return functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, shift : shift + 12].flatten())

    assert statuses(_stepping(model, loss))["watch.loss-inputs"] is status


@pytest.mark.parametrize("moved", [4, 1])
def test_a_gradient_may_move_the_weights_before_it_is_cleared(moved):
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    weights = list(model.parameters())[:moved]

    def loop():
        for _ in range(STEPS):
            functional.cross_entropy(model(x), y).backward()
            moves = [0.05 * p.grad / p.grad.norm() for p in weights if p.grad is not None]
            with torch.no_grad():
                torch._foreach_add_(weights, moves)
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            with torch.no_grad():
                torch._foreach_sub_(weights, moves)
            optimizer.step()
            optimizer.zero_grad()

    assert failed(loop) == []


def test_a_gradient_may_be_kept_cleared_and_put_back():
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for _ in range(STEPS):
            functional.cross_entropy(model(x), y).backward()
            kept = [p.grad.clone() for p in model.parameters() if p.grad is not None]
            optimizer.zero_grad()
            functional.cross_entropy(model(x + 0.1), y).backward()
            for parameter, gradient in zip(model.parameters(), kept, strict=True):
                parameter.grad = gradient
            functional.cross_entropy(model(x + 0.2), y).backward()
            optimizer.step()
            optimizer.zero_grad()

    assert failed(loop) == []


def test_gradients_of_several_tasks_may_be_put_together_by_hand():
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def gradients(loss):
        optimizer.zero_grad()
        loss.backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    def loop():
        for _ in range(STEPS):
            one = gradients(functional.cross_entropy(model(x), y))
            two = gradients(model(x).square().mean())
            for parameter, a, b in zip(model.parameters(), one, two, strict=True):
                parameter.grad = a + b
            optimizer.step()

    assert failed(loop) == []


def test_an_optimizer_inside_another_is_the_same_optimizer():
    x, y = data()
    model = network()

    class Wrapper(torch.optim.Optimizer):
        def __init__(self, parameters):
            super().__init__(parameters, {"lr": 0.1})
            self.inner = torch.optim.SGD(self.param_groups, lr=0.1)

        def step(self, closure=None):
            return self.inner.step()

    optimizer = Wrapper(model.parameters())

    def loop():
        for _ in range(STEPS):
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    assert failed(loop) == []


@pytest.mark.parametrize(("kept", "found"), [(list, []), (iter, ["watch.clipping"])])
def test_parameters_that_are_gone_through_are_not_clipped(kept, found):
    x, y = data()
    model = network()
    parameters = kept(model.parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.1)

    def loop():
        for _ in range(STEPS):
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()

    assert failed(loop) == found


@pytest.mark.parametrize(("anew", "found"), [(True, []), (False, ["watch.schedule"])])
def test_a_new_optimizer_needs_a_new_schedule(anew, found):
    x, y = data()
    model = network()

    def parts():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    def loop():
        optimizer, schedule = parts()
        for step in range(STEPS):
            if step == 8:
                optimizer, new = parts()
                schedule = new if anew else schedule
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step()

    assert failed(loop) == found


def test_a_rate_that_is_set_on_the_optimizer_itself_is_not_heard():
    x, y = data()

    def loss(model):
        return functional.cross_entropy(model(x), y)

    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for step in range(STEPS):
            optimizer.lr = 0.1 / (step + 1)
            optimizer.zero_grad()
            loss(model).backward()
            optimizer.step()

    assert failed(loop) == ["watch.learning-rate"]


@pytest.mark.parametrize(("last", "status"), [(3, Status.PASS), (0, Status.WARN)])
def test_the_first_window_of_accumulation_is_whole(last, status):
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for step in range(4 * STEPS):
            (functional.cross_entropy(model(x[step % 4 :: 4]), y[step % 4 :: 4]) / 4).backward()
            if step % 4 == last:
                optimizer.step()
                optimizer.zero_grad()

    assert statuses(loop)["watch.clearing"] is status


def test_a_second_backward_pass_may_begin_after_some_steps():
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for step in range(STEPS):
            for _ in range(1 + (step > 2)):
                functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()

    assert statuses(loop)["watch.clearing"] is Status.PASS


@pytest.mark.parametrize("first", [0, 1])
def test_two_optimizers_may_take_turns_over_the_same_parameters(first):
    x, y = data()
    model = network()
    optimizers = [torch.optim.Adam(model.parameters()), torch.optim.SGD(model.parameters(), lr=0.1)]

    def loop():
        for step in range(STEPS):
            optimizer = optimizers[first if step < STEPS // 2 else 1 - first]
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    assert failed(loop) == []


def test_an_optimizer_for_later_takes_no_parameters_from_the_one_that_steps():
    x, y = data()
    model = network()
    optimizer, _later = torch.optim.Adam(model.parameters()), torch.optim.LBFGS(model.parameters())

    def loop():
        for _ in range(STEPS):
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    assert failed(loop) == []


@pytest.mark.parametrize("hidden", [False, True])
def test_gradients_that_are_mended_in_time_are_told(hidden):
    x, y = data()
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for _ in range(STEPS):
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            if hidden and model.bias.grad is not None:
                (0.0 * model.bias[:1]).sqrt().sum().backward()
                torch.nan_to_num_(model.bias.grad)
            optimizer.step()

    assert statuses(loop)["watch.nonfinite"] is (Status.WARN if hidden else Status.PASS)


def test_a_loss_that_is_nan_behind_nan_to_num_is_told():
    x, y = data()

    def loss(model):
        empty = model(x)[:0].mean()
        return functional.cross_entropy(model(x), y) + torch.nan_to_num(empty)

    assert "watch.nonfinite" in {
        name for name, s in statuses(_stepping(nn.Linear(6, 3), loss)).items() if s > Status.PASS
    }


def test_a_class_may_be_given_to_the_model_that_is_asked_for_it():
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (32,))
    model = nn.Sequential(nn.Embedding(3, 8), nn.Linear(8, 3))  # a generator and its auxiliary classifier
    found = statuses(_stepping(model, lambda model: functional.cross_entropy(model(labels), labels)))
    assert found["watch.loss-inputs"] is Status.PASS


@pytest.mark.parametrize(
    ("mode", "every", "status"), [(True, 8, Status.WARN), (False, 8, Status.SKIP), (True, 1, Status.SKIP)]
)
def test_an_evaluation_without_a_loader_runs_in_evaluation_mode(mode, every, status):
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for step in range(STEPS):
            model.train()
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            if step % every == 0:
                with torch.no_grad():
                    model.train(mode)
                    for _ in range(6):
                        model(x)

    assert statuses(loop)["watch.evaluation-mode"] is status


@pytest.mark.parametrize(("mode", "found"), [(False, []), (True, ["watch.evaluation-mode"])])
def test_an_average_of_the_weights_is_evaluated_in_evaluation_mode(mode, found):
    x, y = data()
    model = network()
    average = copy.deepcopy(model).train(mode)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train, valid = DataLoader(TensorDataset(x, y), 16, shuffle=True), DataLoader(TensorDataset(x + 1, y), 16)

    def loop():
        for _ in range(6):
            for a, b in train:
                optimizer.zero_grad()
                functional.cross_entropy(model(a), b).backward()
                optimizer.step()
            with torch.no_grad():
                for a, _ in valid:
                    average(a)

    assert failed(loop) == found


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("epochs", "found"), [([[0], [1], [2]], []), ([[], [], []], ["watch.schedule"])])
def test_a_schedule_that_is_given_the_epoch_may_be_stepped_at_its_beginning(epochs, found):
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)

    def loop():
        for epoch in epochs:
            schedule.step(*epoch)
            for _ in range(STEPS // 3):
                optimizer.zero_grad()
                functional.cross_entropy(model(x), y).backward()
                optimizer.step()

    assert failed(loop) == found


@pytest.mark.parametrize(("scored", "status"), [(False, Status.WARN), (True, Status.FAIL)])
def test_dropout_may_tell_how_unsure_a_model_is_of_other_data_than_it_is_scored_on(scored, status):
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train, pool, test = (DataLoader(TensorDataset(x + shift, y), 16) for shift in range(3))

    def passing(loader, mode):
        model.train(mode)
        with torch.no_grad():
            for a, _ in loader:
                model(a)

    def loop():
        for _ in range(4):
            model.train()
            for a, b in train:
                optimizer.zero_grad()
                functional.cross_entropy(model(a), b).backward()
                optimizer.step()
            passing(test, mode=scored)
            passing(pool, mode=True)

    assert statuses(loop)["watch.evaluation-mode"] is status


@pytest.mark.filterwarnings("ignore:Using a target size:UserWarning")
def test_predictions_may_stand_in_the_place_of_targets_but_not_be_broadcast():
    x, _ = data()
    loop = _stepping(nn.Linear(6, 1), lambda model: functional.mse_loss(x.sum(1), model(x)), steps=6)
    assert failed(loop) == ["watch.loss-inputs"]


def test_an_evaluation_under_gradient_does_not_speak_for_training():
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train, valid = DataLoader(TensorDataset(x, y), 16, shuffle=True), DataLoader(TensorDataset(x + 1, y), 4)

    def loop():
        for _ in range(6):
            for a, b in train:
                optimizer.zero_grad()
                functional.cross_entropy(model(a).softmax(1), b).backward()
                optimizer.step()
            for a, b in valid:
                functional.cross_entropy(model(a), b)

    assert "watch.loss-inputs" in failed(loop)


class Functional(nn.Module):
    """Dropout as a function, with its mode or, as is forgotten, without."""

    def __init__(self, told):
        super().__init__()
        self.first, self.second, self.told = nn.Linear(6, 16), nn.Linear(16, 3), told

    def forward(self, x):
        mode = self.training if self.told else True
        return self.second(functional.dropout(self.first(x).relu(), 0.5, mode))


@pytest.mark.parametrize(("told", "status"), [(True, Status.SKIP), (False, Status.WARN)])
def test_dropout_as_a_function_must_be_told_the_mode(told, status):
    x, y = data()
    model = Functional(told)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for _ in range(STEPS):
            model.train()
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            with torch.no_grad():
                model.eval()(x)

    assert statuses(loop)["watch.evaluation-mode"] is status


def test_a_model_with_dropout_as_a_function_is_not_left_in_evaluation_mode():
    x, y = data()
    model = Functional(told=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for step in range(STEPS):
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            if step >= 4:
                model.eval()

    assert failed(loop) == ["watch.training-mode"]


def test_a_whole_model_that_no_optimizer_holds_is_named():
    x, y = data()
    model, forgotten = network(), nn.Linear(3, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def loop():
        for _ in range(STEPS):
            optimizer.zero_grad()
            functional.cross_entropy(forgotten(model(x)), y).backward()
            optimizer.step()

    report = run(Subject(name="loop", recording=record(loop)), "watch", device="cpu", among="watch.")
    (found,) = (result.observation for result in report.results if result.id == "watch.parameters")
    assert found is not None
    assert found.tables[0].rows == (("Linear", "a whole model, in no optimizer that steps"),)


def test_layers_with_numbers_in_their_names_are_no_siblings_of_which_one_suffices():
    x, y = data()
    layers = nn.ModuleDict({"fc1": nn.Linear(6, 16), "fc2": nn.Linear(16, 3)})
    optimizer = torch.optim.SGD(layers.parameters(), lr=0.1)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = layers

        def forward(self, x):
            return self.layers["fc2"](self.layers["fc1"](x).relu().detach())

    model = Network()

    def loop():
        for _ in range(STEPS):
            optimizer.zero_grad()
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    assert failed(loop) == ["watch.parameters"]
