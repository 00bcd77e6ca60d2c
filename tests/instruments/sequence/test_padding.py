import pytest
import torch

from gonogo.errors import NotApplicable
from gonogo.instruments.sequence.padding import padded
from gonogo.training.claims import Claims
from gonogo.training.session import Session
from gonogo.training.subject import Subject

IDS = torch.tensor([[5, 6, 7, 8, 0], [5, 6, 0, 0, 0], [5, 6, 7, 0, 0]])


def fields(pad_id=None, **batch):
    session = Session(Subject("b", splits={"train": lambda: [batch]}, claims=Claims(pad_id=pad_id)))
    return padded(session)


def test_the_row_with_the_most_padding_is_cut_to_its_real_part():
    [one] = fields(pad_id=0, ids=IDS, labels=IDS.masked_fill(IDS == 0, -100), lengths=torch.tensor([4, 2, 3]))
    assert (one.row, one.start, one.stop, one.left) == (1, 0, 2, False)
    cut = one.trimmed()
    assert cut["ids"].tolist() == [[5, 6]] * 3
    assert cut["labels"].tolist() == [[5, 6]] * 3
    assert cut["lengths"].tolist() == [2, 2, 2]


def test_padding_in_front_is_found_too():
    [one] = fields(pad_id=0, ids=IDS.flip(1))
    assert (one.start, one.stop, one.left) == (3, 5, True)


def test_a_decoder_that_starts_with_the_id_of_padding_has_no_padding_in_front():
    [one] = fields(pad_id=0, ids=torch.cat([torch.zeros(3, 1, dtype=torch.long), IDS], dim=1))
    assert (one.row, one.start, one.stop) == (1, 0, 3)


def test_a_mask_of_either_polarity_names_the_padding_of_features():
    x = torch.randn(3, 5, 2).masked_fill((IDS == 0).unsqueeze(-1), 0.0)
    for mask in (IDS == 0, (IDS != 0).long(), (IDS != 0).float()):
        [one] = fields(x=x, mask=mask)
        assert torch.equal(one.mask, IDS == 0)
        assert one.token is None


def test_a_mask_of_tokens_to_predict_is_no_padding():
    hidden = torch.tensor([[0, 1, 0, 0, 1], [1, 0, 0, 1, 0], [0, 0, 1, 0, 0]]).bool()
    with pytest.raises(NotApplicable, match="no padding"):
        fields(ids=torch.arange(15).view(3, 5).masked_fill(hidden, 99), mask=hidden)


@pytest.mark.parametrize("beside", [torch.eye(3).to_sparse(), torch.eye(3, 5).to_sparse(), torch.zeros(3, 5).cfloat()])
def test_fields_of_other_kinds_are_left_alone(beside):
    x = torch.randn(3, 5, 2).masked_fill((IDS == 0).unsqueeze(-1), 0.0)
    [one] = fields(x=x, beside=beside, there=IDS != 0)
    assert one.markers == ["there"]
    assert one.path == "x"


def test_lengths_name_the_padding_behind():
    x = torch.randn(3, 5, 2).masked_fill((IDS == 0).unsqueeze(-1), 0.0)
    [one] = fields(x=x, n=torch.tensor([4, 2, 3]), label=torch.tensor([1, 0, 2]))
    assert torch.equal(one.mask, IDS == 0)
    assert one.markers == ["n"]


def test_an_answer_at_the_end_of_each_row_is_no_padding():
    answer = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 1, 1, 1], [0, 0, 0, 1, 1]])
    labels = torch.arange(15).view(3, 5).masked_fill(answer == 0, -100)
    with pytest.raises(NotApplicable, match="no padding"):
        fields(ids=torch.arange(15).view(3, 5), is_answer=answer, wanted=labels)
