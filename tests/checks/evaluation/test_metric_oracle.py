"""Scores of answers per position: right ones have accuracy 1, whatever is masked; the unknown is left alone."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gonogo.adapters.plain import from_parts
from gonogo.checks.evaluation.metric_oracle import metric_oracle
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

CHECK: Any = metric_oracle.check  # type: ignore[attr-defined]
VOCAB = 7


def program(score: Any, *, channels_first: bool = False, labels: bool = True, name: str = "accuracy") -> Subject:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(VOCAB, 8), nn.Linear(8, VOCAB)

        def forward(self, ids: Tensor) -> Tensor:
            scores = self.head(self.embed(ids))
            return scores.transpose(1, 2) if channels_first else scores

    def split(n: int) -> list[Any]:
        ids = torch.randint(VOCAB, (n, 9))
        wanted = torch.where(ids % 3 == 0, -100, (ids + 1) % VOCAB)
        rows = [{"ids": a, "labels": b} for a, b in zip(ids.split(8), wanted.split(8), strict=True)]
        return rows if labels else [row["ids"] for row in rows]

    def loss(net: nn.Module, batch: Any) -> Tensor:
        if not labels:
            return functional.cross_entropy(net(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        scores = net(batch["ids"])
        return functional.cross_entropy(scores if channels_first else scores.transpose(1, 2), batch["labels"])

    @torch.no_grad()
    def evaluate(net: nn.Module, loader: Any) -> dict[str, float]:
        pairs = [score(net, batch) for batch in loader]
        return {name: sum(float(right) for right, _ in pairs) / sum(float(count) for _, count in pairs)}

    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        net = Tagger()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        data = {"train_loader": split(32), "valid_loader": split(20)}
        return {"model": net, "optimizer": optimizer, "loss": loss, "evaluate": evaluate, **data}

    return from_parts(build(), build, "build")


def masked(net: Any, batch: Any) -> tuple[Any, Any]:
    hits, real = net(batch["ids"]).argmax(-1) == batch["labels"], batch["labels"] >= 0
    return (hits & real).sum(), real.sum()


def masked_first(net: Any, batch: Any) -> tuple[Any, Any]:
    hits, real = net(batch["ids"]).argmax(1) == batch["labels"], batch["labels"] >= 0
    return (hits & real).sum(), real.sum()


def solved(net: Any, batch: Any) -> tuple[Any, Any]:
    hits = (net(batch["ids"]).argmax(-1) == batch["labels"]) | (batch["labels"] < 0)
    return hits.all(1).sum(), len(hits)


def next_token(net: Any, ids: Any) -> tuple[Any, Any]:
    hits = net(ids[:, :-1]).argmax(-1) == ids[:, 1:]
    return hits.sum(), hits.numel()


def whole_sequence(net: Any, ids: Any) -> tuple[Any, Any]:
    hits = net(ids)[:, :-1].argmax(-1) == ids[:, 1:]
    return hits.sum(), hits.numel()


def not_shifted(net: Any, ids: Any) -> tuple[Any, Any]:
    hits = net(ids[:, :-1]).argmax(-1) == ids[:, :-1]
    return hits.sum(), hits.numel()


def two_guesses(net: Any, batch: Any) -> tuple[Any, Any]:
    best, real = net(batch["ids"]).topk(2, -1).indices, batch["labels"] >= 0
    return ((best == batch["labels"][..., None]).any(-1) & real).sum(), real.sum()


@pytest.mark.parametrize(
    "subject",
    [
        program(masked),
        program(masked, name="token_accuracy"),
        program(masked_first, channels_first=True),
        program(solved, name="exact_accuracy"),
        program(next_token, labels=False),
        program(whole_sequence, labels=False),
        program(two_guesses, name="top2_acc"),
    ],
)
def test_right_scores_per_position_are_not_accused(subject):
    assert answer(CHECK, subject).status in (Status.PASS, Status.SKIP)


@pytest.mark.parametrize(
    "subject",
    [
        program(not_shifted, labels=False),
        program(lambda net, batch: (masked(net, batch)[0], batch["ids"].numel())),
    ],
)
def test_a_wrong_axis_shift_or_count_fails(subject):
    assert answer(CHECK, subject).status is Status.FAIL


def backbone(*, wide: bool) -> Subject:
    """A backbone whose forward gives an embedding; heads outside it are trained, and the evaluation scores one."""

    class Backbone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(6, 12 if wide else 3), nn.Linear(12 if wide else 3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x).tanh()

    @torch.no_grad()
    def evaluate(net: Any, loader: Any) -> dict[str, float]:
        hits = torch.cat([net.head(net(x)).argmax(1) == y for x, y in loader])
        return {"accuracy": float(hits.float().mean())}

    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        net, x = Backbone(), torch.randn(6, 8, 6)
        data = [(a, a[:, :3].argmax(1)) for a in x]
        parts = {"optimizer": torch.optim.SGD(net.parameters(), lr=0.1), "evaluate": evaluate, "model": net}
        parts["loss"] = lambda net, batch: functional.cross_entropy(net.head(net(batch[0])), batch[1])
        return {**parts, "train_loader": data[:4], "valid_loader": data[4:]}

    return from_parts(build(), build, "build")


@pytest.mark.parametrize("wide", [True, False])
def test_an_embedding_that_a_head_outside_forward_scores_is_not_taken_for_scores(wide):
    assert answer(CHECK, backbone(wide=wide)).status is Status.SKIP


def heads(pick: Any, *, tasks: int = 1) -> Subject:
    """Several heads in one answer: the class, a score beside it, and a head that the loss uses otherwise."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(6, 3 + 1 + 3)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            logits, score, aside = self.head(x).split([3, 1, 3], 1)
            return {"logits": logits, "score": score, "aside": aside}

    def split(n: int) -> list[Any]:
        x = torch.randn(n, 6)
        labels = torch.randint(3, (n,))
        rows = zip(x.split(8), labels.split(8), x[:, 0].split(8), x[:, :3].argmax(1).split(8), strict=True)
        return [{"x": a, "label": b, "value": c, "other": d} for a, b, c, d in rows]

    def loss(net: nn.Module, batch: Any) -> Tensor:
        out = net(batch["x"])
        value = (
            functional.cross_entropy(out["logits"], batch["label"]) + (out["score"][:, 0] - batch["value"]).abs().mean()
        )
        second = functional.cross_entropy(out["aside"], batch["other"]) if tasks > 1 else 0.0
        return value + second

    @torch.no_grad()
    def evaluate(net: nn.Module, loader: Any) -> dict[str, float]:
        hits = torch.cat([pick(net(batch["x"]), batch) for batch in loader])
        return {"accuracy": float(hits.float().mean())}

    def build() -> dict[str, Any]:
        torch.manual_seed(0)
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        data = {"train_loader": split(32), "valid_loader": split(20), "claims": {"target": "label"}}
        return {"model": net, "optimizer": optimizer, "loss": loss, "evaluate": evaluate, **data}

    return from_parts(build(), build, "build")


@pytest.mark.requirement("MAFT-3.4")
@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (heads(lambda out, batch: out["logits"].argmax(1) == batch["label"]), Status.PASS),
        (heads(lambda out, batch: out["logits"].argmin(1) == batch["label"]), Status.FAIL),
        (heads(lambda out, batch: out["aside"].argmax(1) == batch["label"]), Status.SKIP),  # it may be the one meant
        (heads(lambda out, batch: (out["logits"] + 30 * out["aside"]).argmax(1) == batch["label"]), Status.SKIP),
        (heads(lambda out, batch: out["aside"].argmax(1) == batch["other"], tasks=2), Status.SKIP),
    ],
)
def test_of_several_heads_the_one_that_the_loss_scores_is_answered(subject, expected):
    assert answer(CHECK, subject).status is expected
