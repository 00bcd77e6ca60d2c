"""Scores of other batch sizes, by weights of other types."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gonogo.checks.evaluation.batch_size import batch_size
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject


@pytest.mark.parametrize(("dtype", "expected"), [(torch.float32, Status.WARN), (torch.bfloat16, Status.PASS)])
def test_a_score_moves_with_the_batch_size_by_less_than_half_precision_can_tell(dtype, expected):
    def evaluate(model, loader):
        return {"score": 1 + 0.002 * sum(len(model(batch[0])) > 0 for batch in loader)}

    rows = torch.ones(70, 4, dtype=dtype)
    loaders = {"valid": lambda: DataLoader(TensorDataset(rows), 35)}
    subject = Subject("by hand", model=lambda: nn.Linear(4, 1).to(dtype), evaluate=evaluate, splits=loaders)
    assert answer(batch_size.check, subject).status is expected
