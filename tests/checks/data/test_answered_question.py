"""Questions that are answered beside themselves are found; looking up, and candidates to choose from, are tasks."""

from typing import Any

import pytest
import torch

from gonogo.checks.data.answered_question import answered_question
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

CHECK: Any = answered_question.check  # type: ignore[attr-defined]
ROWS = torch.arange(40)


def ask(shown: Any, asked: Any, *, candidates: bool = False) -> Status:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 3, 4, generator=draw), torch.randn(40, 3, 5, generator=draw)
    chosen = asked(ROWS)
    context = {"inputs": x[ROWS[:, None], shown(chosen)], "outputs": y[ROWS[:, None], shown(chosen)]}
    batch = {"context": context, "query": x[ROWS, chosen], "answer": y[ROWS, chosen]}
    if candidates:
        batch["context"] = {"candidates": context["outputs"]}
    subject = Subject("s", splits={"train": lambda: [batch]}).with_claims(target="answer")
    return answer(CHECK, subject).status


def first_two(chosen: torch.Tensor) -> torch.Tensor:
    return torch.tensor([[0, 1]]).expand(len(chosen), 2)


def the_others(chosen: torch.Tensor) -> torch.Tensor:
    return torch.stack([(chosen + 1) % 3, (chosen + 2) % 3], 1)


def test_the_question_among_its_examples_fails() -> None:
    assert ask(first_two, lambda rows: rows % 3) is Status.FAIL


@pytest.mark.parametrize(
    ("shown", "asked", "candidates"),
    [
        (the_others, lambda rows: rows % 3, False),
        (first_two, lambda rows: rows % 2, False),  # looking up: the answer is always there
        (first_two, lambda rows: rows % 3, True),
    ],
)
def test_other_examples_looking_up_and_candidates_are_right(shown: Any, asked: Any, candidates: bool) -> None:
    assert ask(shown, asked, candidates=candidates) in (Status.PASS, Status.SKIP)
