"""Labels without relation to their inputs are found; noise, rarity and shift of valid are not accused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.adapters.plain import from_parts
from gonogo.checks.learning.shuffled_labels import shuffled_labels
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

CHECK = shuffled_labels.check  # type: ignore[attr-defined]
Data = tuple[Tensor, Tensor]


def drawn(seed: int, n: int, *, shift: float = 0.0) -> Data:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 8, generator=draw) + shift
    return x, (x @ torch.randn(8, 3, generator=torch.Generator().manual_seed(9))).argmax(1)


def program(train: Data, valid: Data, *, loss: Callable[..., Tensor] | None = None) -> Subject:
    given = loss or (lambda model, batch: functional.cross_entropy(model(batch[0]), batch[1]))

    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 3))
        loaders = [list(zip(x.split(20), y.split(20), strict=True)) for x, y in (train, valid)]
        parts = {"model": model, "loss": given, "train_loader": loaders[0], "valid_loader": loaders[1]}
        return {**parts, "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3)}

    return from_parts(build(), build, "build")


def test_a_real_relation_passes_after_few_steps():
    result = answer(CHECK, program(drawn(1, 160), drawn(2, 60)))
    assert result.status is Status.PASS
    assert result.observation is not None
    assert (result.observation.measurements["unrelated"].n or 0) <= 100


@pytest.mark.parametrize("by", [1, 7])
def test_labels_that_slipped_are_found(by):
    (x, y), (u, v) = drawn(1, 240), drawn(2, 100)
    assert answer(CHECK, program((x, y.roll(by)), (u, v.roll(by)))).status is Status.WARN


def test_other_classes_in_valid_are_found():
    u, v = drawn(2, 80)
    assert answer(CHECK, program(drawn(1, 160), (u, (v + 1) % 3))).status is Status.WARN


def test_another_distribution_of_valid_is_not_accused():
    assert answer(CHECK, program(drawn(1, 160), drawn(2, 60, shift=1.0))).status is Status.PASS


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_noisy_labels_are_not_accused(share):
    def noisy(data: Data, seed: int) -> Data:
        draw = torch.Generator().manual_seed(seed)
        other = torch.randint(3, data[1].shape, generator=draw)
        return data[0], torch.where(torch.rand(data[1].shape, generator=draw) < share, other, data[1])

    subject = program(noisy(drawn(1, 200), 3), noisy(drawn(2, 80), 4))
    assert answer(CHECK, subject).status in (Status.PASS, Status.SKIP)


def test_a_rare_class_is_not_accused():
    def rare(seed: int, n: int) -> Data:
        x, _ = drawn(seed, n)
        return x, (x[:, 0] > 1.6).long()

    assert answer(CHECK, program(rare(1, 200), rare(2, 60))).status in (Status.PASS, Status.SKIP)


def test_a_loss_within_the_batch_is_not_asked():
    def contrastive(model: nn.Module, batch: Any) -> Tensor:
        code = functional.normalize(model(batch[0]), dim=1)
        return functional.cross_entropy(5 * code @ code.T, torch.arange(len(code)))

    result = answer(CHECK, program(drawn(1, 160), drawn(2, 60), loss=contrastive))
    assert result.status is Status.SKIP
    assert "rows of the batch" in result.reason


def test_a_penalty_on_the_weights_hides_nothing():
    def penalised(model: nn.Module, batch: Any) -> Tensor:
        size = sum(parameter.square().sum() for parameter in model.parameters())
        return functional.cross_entropy(model(batch[0]), batch[1]) + 1e-3 * size

    assert answer(CHECK, program(drawn(1, 160), drawn(2, 60), loss=penalised)).status is Status.PASS


def test_sequences_that_are_memorised_before_anything_carries_over_are_not_accused():
    def split(seed: int, n: int) -> Data:
        tokens = torch.randint(12, (n, 9), generator=torch.Generator().manual_seed(seed))
        return tokens[:, :-1], tokens[:, 1:]

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.rnn = nn.Embedding(12, 32), nn.GRU(32, 64, batch_first=True)
            self.head = nn.Linear(64, 12)

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(self.rnn(self.embed(ids))[0])

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())

    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        model = Reader()
        loaders = [list(zip(x.split(10), y.split(10), strict=True)) for x, y in (split(1, 60), split(2, 30))]
        parts = {"model": model, "loss": loss, "train_loader": loaders[0], "valid_loader": loaders[1]}
        return {**parts, "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2)}

    assert answer(CHECK, from_parts(build(), build, "build")).status in (Status.PASS, Status.SKIP)
