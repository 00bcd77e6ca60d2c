from collections import OrderedDict, UserDict, defaultdict, namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gonogo.training import batch as b

Pair = namedtuple("Pair", "left right")
ROWS = 3


@dataclass(frozen=True, slots=True)
class Sample:
    audio: object
    text: object


def x(*shape):
    return torch.arange(float(np.prod(shape))).reshape(shape)


TENSORS = st.sampled_from([(ROWS,), (ROWS, 2), (ROWS, 2, 2)]).map(lambda shape: x(*shape))
ARRAYS = TENSORS.map(lambda tensor: tensor.numpy().copy())
WORDS = st.just([f"text {row}" for row in range(ROWS)])
LEAVES = TENSORS | ARRAYS | WORDS | st.just(torch.tensor(5)) | st.just("one text") | st.just(7) | st.none()
BATCHES = st.recursive(
    LEAVES,
    lambda inner: (
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1)
        | st.tuples(inner, inner)
        | st.builds(Pair, inner, inner)
        | st.builds(Sample, inner, inner)
    ),
    max_leaves=6,
)


def same(first, second):
    left, right = dict(b.walk(first)), dict(b.walk(second))
    equal = [np.array_equal(np.asarray(left[path]), np.asarray(right[path])) for path in left.keys() & right.keys()]
    return type(first) is type(second) and left.keys() == right.keys() and all(equal)


@given(BATCHES)
def test_a_clone_is_equal_and_of_the_same_types(batch):
    assert same(b.clone(batch), batch)


@given(BATCHES)
def test_damage_to_a_clone_leaves_the_original_alone(batch):
    before, damaged = b.clone(batch), b.clone(batch)
    for _, leaf in b.walk(damaged):
        if b.is_numeric(leaf):
            leaf[...] = -1
    assert same(batch, before)


@given(BATCHES)
def test_taking_all_rows_changes_nothing(batch):
    assert same(b.take_rows(batch, list(range(ROWS)), ROWS), batch)


@given(BATCHES, st.lists(st.integers(0, ROWS - 1)))
def test_every_leaf_with_rows_has_the_taken_ones(batch, rows):
    for path, leaf in b.tensors(b.take_rows(batch, rows, ROWS)).items():
        whole = b.tensors(batch)[path]
        assert torch.equal(leaf, whole[rows] if whole.dim() else whole)


def test_paths_read_like_the_way_to_a_leaf():
    batch = {"audio": {"features": 1}, "pair": Pair(2, [3]), "sample": Sample(4, (5,))}
    assert dict(b.walk(batch)) == {
        "audio.features": 1,
        "pair.left": 2,
        "pair.right.0": 3,
        "sample.audio": 4,
        "sample.text.0": 5,
    }


def test_a_batch_that_is_one_tensor_has_a_path_too():
    assert list(b.tensors(x(2))) == ["batch"]


def test_tensors_are_numbers_and_nothing_else():
    batch = {"a": x(2), "b": np.arange(3), "c": np.array(["x"]), "d": "x", "e": 3, "f": np.array([{}])}
    assert set(b.tensors(batch)) == {"a", "b"}


def test_a_tensor_of_an_array_owns_its_data():
    array = np.zeros(2)
    b.as_tensor(array)[0] = 1
    assert array[0] == 0


@pytest.mark.parametrize("kind", [UserDict, OrderedDict, lambda plain: defaultdict(list, plain)])
def test_mappings_of_other_types_keep_their_type(kind):
    batch = kind({"a": x(2)})
    cloned = b.clone(batch)
    cloned["a"][0] = 9
    assert type(cloned) is type(batch)
    assert batch["a"][0] == 0


def test_rows_of_texts_are_taken_from_lists_and_from_tuples():
    batch = {"list": ["a", "b", "c"], "tuple": ("a", "b", "c"), "other": ["a", "b"], "word": "abc"}
    taken = b.take_rows(batch, [2, 0], 3)
    assert taken == {"list": ["c", "a"], "tuple": ("c", "a"), "other": ["a", "b"], "word": "abc"}


def test_a_list_of_as_many_tensors_as_there_are_rows_is_no_list_of_rows():
    taken = b.take_rows([x(3), x(3), x(3)], [1], 3)
    assert [leaf.tolist() for leaf in taken] == [[1.0]] * 3


def test_a_tensor_with_the_sequence_first_gives_its_second_axis():
    assert torch.equal(b.take_rows(x(7, 3), [2, 2], 3), x(7, 3)[:, [2, 2]])


def test_a_tensor_without_such_an_axis_stays():
    assert b.take_rows(x(7, 5, 3), [0], 3).shape == (7, 5, 3)
    assert b.row_axis(torch.tensor(3.0), 3) is None


def test_moving_changes_the_precision_of_real_numbers_only():
    moved = b.to({"x": x(2), "y": torch.tensor([1]), "z": np.zeros(1, np.float32), "w": "a"}, dtype=torch.float64)
    assert (moved["x"].dtype, moved["y"].dtype, moved["z"].dtype) == (torch.float64, torch.int64, np.float64)


def test_batch_types_of_libraries_move_themselves():
    class Graph:
        def to(self, device):
            return f"moved to {device}"

    assert b.to([Graph()], torch.device("cpu")) == ["moved to cpu"]


def test_moving_reaches_tensors_at_any_depth():
    [(_, leaf)] = b.walk(b.to({"a": Pair([x(2)], None)}, torch.device("meta"))["a"].left)
    assert leaf.device.type == "meta"


def test_the_size_is_what_most_tensors_share():
    assert b.size({"x": x(4, 2), "y": x(4), "lengths": x(3), "scale": torch.tensor(1.0)}) == 4
    assert b.size({"name": "x"}) is None


def test_leading_sizes_name_every_tensor_with_a_dimension():
    assert b.leading_sizes({"x": x(4, 2), "y": np.zeros(3), "scale": torch.tensor(1.0)}) == [("x", 4), ("y", 3)]


def detection(size):
    """A picture of 3 channels and a record of as many boxes as it has, for each sample."""
    pictures = [x(3, 4, 5 + n) for n in range(size)]
    return pictures, [{"boxes": x(n + 1, 4), "label": torch.tensor(n)} for n in range(size)]


@pytest.mark.parametrize(
    "batch",
    [
        [{"x": x(7), "y": torch.tensor(0)} for _ in range(5)],
        [Sample(x(7), 1) for _ in range(5)],
        [(x(7), torch.tensor(0)) for _ in range(5)],
        detection(5),
        ([x(3, 4, 4) for _ in range(5)], x(5)),
    ],
)
def test_a_list_of_samples_has_a_row_for_each(batch):
    assert b.size(batch) == 5
    assert b.size(b.take_rows(batch, [4, 0, 0], 5)) == 3


@pytest.mark.parametrize(
    "batch", [[x(7, 2), x(7)], {"pyramid": [x(7, 4), x(7, 2)], "y": x(7)}, {"h": (x(7), x(7))}, [{"x": x(7)}] * 2]
)
def test_a_list_of_fields_views_or_levels_is_no_list_of_samples(batch):
    assert b.size(batch) == 7
    assert b.size(b.take_rows(batch, [4, 0, 0], 7)) == 3


def test_a_list_of_samples_with_as_many_features_as_samples_keeps_the_features():
    batch = [{"x": torch.arange(3) + 10 * n, "y": torch.tensor(n)} for n in range(3)]
    taken = b.take_rows(batch, [2, 0, 0], 3)
    assert [sample["x"].tolist() for sample in taken] == [[20, 21, 22], [0, 1, 2], [0, 1, 2]]
