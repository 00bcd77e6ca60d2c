"""Fields with a side of their own, by right and by mistake."""

import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader

from gonogo.checks.sequence.sides import sides
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject


def rows():
    generator = torch.Generator().manual_seed(0)
    ids = [torch.randint(1, 9, (5 + i % 4,), generator=generator) for i in range(12)]
    return [{"ids": row, "other": torch.randint(1, 9, row.shape, generator=generator)} for row in ids]


def verdict(change, left=True, name="kind", claims=None):
    def collate(samples):
        longest = max(len(one["ids"]) for one in samples)

        def pad(row, front):
            gap = longest - len(row)
            return functional.pad(row, (gap, 0) if front else (0, gap))

        ids = torch.stack([pad(one["ids"], left) for one in samples])
        return {"ids": ids, name: torch.stack([change(pad, one, left) for one in samples])}

    given = Subject(
        "by hand",
        splits={"train": lambda: DataLoader(rows(), 6, collate_fn=collate)},
        claims=claims or Claims(pad_id=0),
    )
    return answer(sides.check, given).status


def on_the_same_side(pad, one, left):
    return pad(one["other"], left)


def on_the_other_side(pad, one, left):
    return pad(one["other"], not left)


def mask_on_the_other_side(pad, one, left):
    return pad(torch.ones_like(one["ids"]), not left)


def zeros(pad, one, left):
    return pad(torch.zeros_like(one["ids"]), not left)


def drawn(pad, one, left):
    return pad(torch.randint(1, 9, one["ids"].shape), left)


def places(pad, one, left):
    return torch.arange(len(pad(one["ids"], left)))


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize(
    ("change", "name", "expected"),
    [
        (on_the_same_side, "kind", Status.PASS),
        (on_the_other_side, "kind", Status.FAIL),
        (mask_on_the_other_side, "attention_mask", Status.FAIL),
        (on_the_other_side, "labels", Status.PASS),
        (zeros, "token_type_ids", Status.PASS),
        (drawn, "noise", Status.PASS),
        (places, "position_ids", Status.PASS),
    ],
)
def test_fields_follow_the_side_of_their_tokens(change, name, expected, left):
    assert verdict(change, left, name) is expected


def test_without_padding_there_is_no_side():
    assert verdict(on_the_other_side, claims=Claims()) is Status.SKIP
