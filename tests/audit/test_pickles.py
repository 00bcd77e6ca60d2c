"""Pickles: data is read, nothing else happens."""

import collections
import contextlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gonogo.audit import pickles
from gonogo.errors import SubjectError

pytestmark = pytest.mark.requirement("MAFT-1.8")

DATA: dict[str, Any] = {
    "float64": np.random.default_rng(0).normal(size=(8, 5, 3)),
    "fortran": np.asfortranarray(np.arange(12, dtype="f4").reshape(4, 3)),
    "big endian": np.arange(3, dtype=">i8"),
    "text": np.array(["one", "three"]),
    "bytes": np.array([[b"video", b"0"]]),
    "objects": np.array(["one", None, 2.5], dtype=object),
    "empty": np.zeros((0, 4)),
    "no axes": np.array(True),
    "scalar": np.float32(2.5),
    "plain": (1, -2.5, {"k": [None, True, 10**30]}, "text", b"", b"bytes"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data.pkl"


def refusal(file: Path, content: bytes) -> str:
    file.write_bytes(content)
    with pytest.raises(SubjectError) as caught:
        pickles.load(file)
    assert str(file) in str(caught.value)
    return str(caught.value)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch evil-was-here",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_data_of_every_protocol_is_read(file: Path, protocol: int) -> None:
    file.write_bytes(pickle.dumps(DATA, protocol))
    for name, found in pickles.load(file).items():
        expected = DATA[name]
        assert type(found) is type(expected)
        if isinstance(expected, np.ndarray):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
        else:
            assert found == expected


def test_files_of_older_numpy_are_read(file: Path) -> None:
    file.write_bytes(pickle.dumps(np.arange(5.0), 2).replace(b"numpy._core", b"numpy.core"))
    assert pickles.load(file).tolist() == [0, 1, 2, 3, 4]


def test_files_of_python_2_are_read(file: Path) -> None:
    dtype = b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    file.write_bytes(
        b"\x80\x02" + array + b"(K\x01K\x02\x85" + dtype + b"\x89U\x10" + np.array([1.5, -2]).tobytes() + b"tb."
    )
    assert pickles.load(file).tolist() == [1.5, -2.0]


def test_an_ordered_dict_is_read_as_a_dict(file: Path) -> None:
    file.write_bytes(pickle.dumps(collections.OrderedDict(b=1, a=2)))
    assert list(pickles.load(file).items()) == [("b", 1), ("a", 2)]


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_foreign_function_is_refused_by_name_and_not_called(
    file: Path, protocol: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    assert "posix.system" in refusal(file, pickle.dumps({"x": Evil()}, protocol))
    assert not (file.parent / "evil-was-here").exists()


def test_the_unpickler_itself_refuses_what_a_scan_would_miss(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "scan", lambda *_: pickles.Contents(0, ()))
    assert "posix.system" in refusal(file, pickle.dumps(Evil()))


def test_a_function_that_is_allowed_cannot_be_changed(file: Path) -> None:
    assert "only use" in refusal(file, b"\x80\x02c_codecs\nencode\n}U\x01aK\x01sb.")


def test_a_caller_may_allow_more(file: Path) -> None:
    file.write_bytes(pickle.dumps(complex(1, 2)))
    with pytest.raises(SubjectError, match=r"builtins\.complex"):
        pickles.load(file)
    assert pickles.load(file, {**pickles.NUMPY, "builtins.complex": pickles.Builder(complex)}) == 1 + 2j


@pytest.mark.parametrize("kept", [1, 10, 100, 1000, -1])
def test_a_truncated_file_is_called_truncated(file: Path, kept: int) -> None:
    assert "truncated" in refusal(file, pickle.dumps(DATA)[:kept])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([2, 4, 5]), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=5)
)
def test_damage_is_an_error_in_words_or_other_data(file: Path, protocol: int, damage: list[tuple[int, int]]) -> None:
    content = bytearray(pickle.dumps(DATA, protocol))
    for place, byte in damage:
        content[place % len(content)] = byte
    file.write_bytes(content)
    with contextlib.suppress(SubjectError):
        pickles.load(file)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04abcdef", "zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"", "empty"),
        (b"hello world", "damaged"),
        (b"\x80\x04\x8b\xff\xff\xff\x7f.", "LONG4 declares 2147483647 bytes"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "BINBYTES8 declares"),
        (b"I" + b"9" * 100_000 + b"\n.", "damaged"),
        (b"\x80\x04Nr\xff\xff\xff\xff.", "place 4294967295"),
        (b"\x80\x04h\x05.", "refers to nothing"),
        (b"\x80\x04P1\n.", "elsewhere"),
        (b"\x80\x04(Na.", "takes a mark"),
    ],
)
def test_what_is_no_pickle_of_data_is_said_in_words(file: Path, content: bytes, words: str) -> None:
    assert words in refusal(file, content)


def doubled(start: Any) -> Any:
    for _ in range(60):
        start = type(start)([start, start])
    return start


KEY_BOMB = b"\x80\x04)\x94" + b"".join(b"h%ch%c\x86\x94" % (i, i) for i in range(60)) + b"}h\x3cK\x01s."


@pytest.mark.timeout(10)
@pytest.mark.parametrize("content", [pickle.dumps(doubled([])), pickle.dumps(doubled(())), KEY_BOMB])
def test_a_bomb_of_nested_references_ends_at_once(file: Path, content: bytes) -> None:
    assert "pickle bomb" in refusal(file, content)


@pytest.mark.timeout(10)
def test_containers_that_are_endlessly_deep_are_refused(file: Path) -> None:
    assert "200 deep" in refusal(file, b"\x80\x04" + b"]" * 50_000 + b"a" * 49_999 + b".")
    assert "200 deep" in refusal(file, b"\x80\x04})" + b"\x85" * 50_000 + b"K\x01s.")  # hashing it would recurse in C
    own: list[Any] = []
    own.append(own)
    assert "holds itself" in refusal(file, pickle.dumps(own))


def test_an_array_cannot_lie_about_its_size(file: Path) -> None:
    content = pickle.dumps(np.zeros(3), 2).replace(b"K\x03\x85", b"J\x00\x00\x00\x40\x85", 1)
    assert "needs 8589934592 bytes or items and has 24" in refusal(file, content)


def test_structured_arrays_are_refused(file: Path) -> None:
    assert "type 'V16'" in refusal(file, pickle.dumps(np.zeros(2, dtype=[("a", "f8"), ("b", "i8")])))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_memory_is_predicted_before_anything_is_read(file: Path, protocol: int) -> None:
    array = np.zeros((1000, 100))
    file.write_bytes(pickle.dumps({"x": array, "y": [1.5] * 100}, protocol))
    predicted = pickles.predict(file).memory
    assert array.nbytes <= predicted <= (1.05 if protocol > 2 else 3) * array.nbytes


def test_a_file_larger_than_half_of_the_free_memory_is_not_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "free_memory", lambda: 2**20)
    monkeypatch.setattr(pickles, "_Unpickler", None)
    message = refusal(file, pickle.dumps(np.zeros(100_000)))
    assert "would take 783.5 KiB" in message
    assert "1 MiB are free" in message


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside.pkl", tmp_path / "data"
    outside.write_bytes(pickle.dumps(1))
    folder.mkdir()
    (folder / "link.pkl").symlink_to(outside)
    with pytest.raises(SubjectError, match="is a link to"):
        pickles.load(folder / "link.pkl")
    assert pickles.load(folder / "link.pkl", folder=tmp_path) == 1


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "absent"):
        with pytest.raises(SubjectError, match=r"is no file|cannot be read"):
            pickles.load(path, folder=tmp_path.parent)
