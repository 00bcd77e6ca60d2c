"""The checks that call the run's own evaluate function: one-line faults are caught, odd but right runs are not."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from gonogo.adapters.plain import from_parts
from gonogo.checks.evaluation import batch_size, coverage, metric_oracle, mode_restored, repeat, split, state
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

MODULES: list[Any] = [repeat, mode_restored, state, coverage, split, batch_size, metric_oracle]
CHECKS = [getattr(module, module.__name__.rsplit(".", 1)[-1]).check for module in MODULES]


class Net(nn.Module):
    def __init__(self, own: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3))
        self.head, self.own = nn.Linear(16, 3), own
        if own:
            self.body = nn.Sequential(nn.Linear(6, 16), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.body(x)
        return self.head(functional.dropout(hidden, 0.3, self.training) if self.own else hidden)


def program(
    evaluate: Callable[..., Any], *, model: Any = Net, step_trains: bool = False, valid: Any = None, **more: Any
) -> Subject:
    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        x = torch.randn(100, 6)
        y = (x @ torch.randn(6, 3)).argmax(1)
        net = model()
        train = DataLoader(TensorDataset(x[:64], y[:64]), 16, shuffle=True)
        held = DataLoader(TensorDataset(x[64:], y[64:]), 16) if valid is None else valid(x[64:], y[64:])

        def loss(net: nn.Module, batch: Any) -> Tensor:
            return functional.cross_entropy(net(batch[0]), batch[1])

        def step(net: nn.Module, optimizer: Any, batch: Any) -> float:
            if step_trains:
                net.train()
            optimizer.zero_grad()
            value = loss(net, batch)
            value.backward()
            optimizer.step()
            return float(value.detach())

        parts = {"model": net, "loss": loss, "step": step, "train_loader": train, "valid_loader": held}
        parts["optimizer"] = torch.optim.Adam(net.parameters(), lr=1e-3)
        parts["evaluate"] = lambda net, loader: evaluate(net, loader, parts)
        return parts | more

    return from_parts(build(), build, "build")


def verdicts(subject: Subject) -> dict[str, Status]:
    return {check.id.removeprefix("evaluation."): answer(check, subject).status for check in CHECKS}


def accused(subject: Subject) -> list[str]:
    return [name for name, status in verdicts(subject).items() if status in (Status.FAIL, Status.ERROR)]


def score(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
    right = total = 0
    with torch.no_grad():
        for x, y in loader:
            right, total = right + int((net(x).argmax(1) == y).sum()), total + len(y)
    return {"accuracy": right / total}


def healthy(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
    net.eval()
    found = score(net, loader)
    net.train()
    return found


def leaves_eval(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
    net.eval()
    return score(net, loader)


def averages_swapped_in(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
    own = {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict({name: value * 0.9 for name, value in own.items()})
    found = healthy(net, loader)
    net.load_state_dict(own)
    return found


def own_loader(net: nn.Module, loader: Any, parts: Any) -> dict[str, float]:
    return healthy(net, parts["valid_loader"])


def both_splits(net: nn.Module, loader: Any, parts: Any) -> dict[str, float]:
    return healthy(net, loader) | {"train_accuracy": healthy(net, parts["train_loader"])["accuracy"]}


def asks_for_the_data_set(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
    found = healthy(net, loader)["accuracy"] * len(loader.dataset)
    return {"accuracy": found / len(loader.dataset), "seconds": torch.rand(()).item()}


def frozen_statistics() -> nn.Module:
    net = Net(own=True)
    net.body.append(nn.BatchNorm1d(16).eval())
    return net


def evened(trim: bool) -> Any:
    """An evaluation that fills each batch up for five workers."""

    def evaluate(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
        net.eval()
        right: list[Tensor] = []
        with torch.no_grad():
            for x, y in loader:
                more = -len(y) % 5
                hits = net(torch.cat([x, x[:more]])).argmax(1) == torch.cat([y, y[:more]])
                right.append(hits[: len(y)] if trim else hits)
        net.train()
        return {"accuracy": torch.cat(right).float().mean().item()}

    return evaluate


def listed(x: Tensor, y: Tensor) -> Any:
    return list(zip(x.split(16), y.split(16), strict=True))


@pytest.mark.parametrize(
    "subject",
    [
        program(healthy),
        program(evened(trim=True)),
        program(evened(trim=True), valid=listed),
        program(healthy, valid=listed),
        program(leaves_eval, step_trains=True),
        program(averages_swapped_in),
        program(own_loader),
        program(both_splits),
        program(asks_for_the_data_set),
        program(healthy, model=lambda: Net(own=True)),
        program(score, model=lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))),
        program(leaves_eval, model=lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 3))),
        program(healthy, valid=lambda x, y: DataLoader(TensorDataset(x, y), 16, shuffle=True)),
        program(healthy, valid=lambda x, y: [(x[:16], y[:16]), (x[16:], y[16:])]),
        program(score, claims={"stochastic": True}, model=lambda: Net(own=True), step_trains=True),
    ],
)
def test_right_evaluations_are_not_accused(subject):
    assert accused(subject) == []


def steps_on_valid(net: nn.Module, loader: Any, parts: Any) -> dict[str, float]:
    found = healthy(net, loader)
    for batch in loader:
        parts["step"](net, parts["optimizer"], batch)
    return found


def trains_inside(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
    net.eval()
    net.train()
    return score(net, loader)


def first_batches(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
    return healthy(net, [batch for place, batch in enumerate(loader) if place < 1])


def skips_ragged(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
    return healthy(net, [batch for batch in loader if len(batch[1]) == 16])


def never_swapped_back(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(0.9)
    return healthy(net, loader)


def scores_of_train(net: nn.Module, loader: Any, parts: Any) -> dict[str, float]:
    return healthy(net, parts["train_loader"])


def wrong_axis(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
    net.eval()
    right = total = 0
    with torch.no_grad():
        for x, y in loader:
            best = net(x).argmax(0)
            right, total = right + int((best == y[: len(best)]).sum()), total + len(best)
    net.train()
    return {"valid_acc": right / total}


def divided_by_batches(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
    return {"acc": healthy(net, loader)["accuracy"] * 36 / (16 * len(loader))}


def percent(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
    return {"acc": 100 * healthy(net, loader)["accuracy"], "macro_acc": 0.3, "f1": 0.2}


def mean_of_means(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
    shares = [healthy(net, [batch])["accuracy"] for batch in loader]
    return {"accuracy": sum(shares) / len(shares)}


def collected_first(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
    batches = list(loader)
    return healthy(net, [tuple(torch.cat(part) for part in zip(*batches, strict=True))])


def test_a_mean_of_batch_means_is_a_warning():
    found = verdicts(program(mean_of_means))
    assert found["batch-size"] is Status.WARN
    assert Status.FAIL not in found.values()


@pytest.mark.parametrize("evaluate", [percent, collected_first])
def test_percentages_and_collected_batches_are_right(evaluate):
    assert set(verdicts(program(evaluate)).values()) <= {Status.PASS, Status.SKIP}


def test_lengths_at_the_end_of_a_batch_are_no_classes():
    def held(x: Tensor, y: Tensor) -> Any:
        return DataLoader(TensorDataset(x, y, torch.ones(len(x), dtype=torch.long)), 16)

    def evaluate(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
        return healthy(net, [(x, y) for x, y, _ in loader])

    assert accused(program(evaluate, valid=held)) == []


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("repeat", program(score)),
        ("repeat", program(score, model=lambda: Net(own=True))),
        ("repeat", program(trains_inside)),
        ("mode-restored", program(leaves_eval)),
        ("mode-restored", program(leaves_eval, model=lambda: Net(own=True))),
        ("state", program(steps_on_valid)),
        ("state", program(never_swapped_back)),
        ("coverage", program(healthy, valid=lambda x, y: DataLoader(TensorDataset(x, y), 16, drop_last=True))),
        ("coverage", program(skips_ragged)),
        ("split", program(scores_of_train)),
        ("batch-size", program(evened(trim=False))),
        ("batch-size", program(evened(trim=False), valid=listed)),
        ("metric-oracle", program(wrong_axis)),
        ("metric-oracle", program(divided_by_batches)),
    ],
)
def test_one_line_faults_fail_the_right_check(name, subject):
    assert name in accused(subject)


def test_a_limit_of_validation_batches_that_the_configuration_names_is_a_choice():
    def some(net: nn.Module, loader: Any, *_: Any) -> dict[str, float]:
        return healthy(net, [next(iter(loader))])

    assert verdicts(program(some))["coverage"] is Status.FAIL
    assert verdicts(program(some, config={"limit_val_batches": 1}))["coverage"] is Status.WARN
