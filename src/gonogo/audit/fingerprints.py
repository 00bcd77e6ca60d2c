"""A 128-bit fingerprint of any nested sample: equal content gives equal fingerprints in every process."""

import dataclasses
import hashlib
import math
import struct
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import date, time, timedelta
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

_DEEPEST = 50
_FLOATS = (torch.float16, torch.float32, torch.float64)


class Unreadable(TypeError):  # noqa: N818 - a signal, not an error
    """An object of a kind that cannot be read without running its own code; nothing is ever pickled."""


def fingerprint(value: Any) -> bytes:
    """16 bytes that stand for the content of `value`.

    -0.0 equals 0.0 and every NaN equals every other; a tensor equals the array with the same dtype, shape and numbers.
    The order of a mapping does not count, its keys do.

    Raises:
        Unreadable: It holds an object that is no number, text, array, image, date, mapping, sequence or dataclass.
    """
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest.update, value, 0)
    return digest.digest()


def _feed(write: Callable[[bytes], None], value: Any, depth: int) -> None:
    if depth > _DEEPEST:
        raise Unreadable(f"nested more than {_DEEPEST} levels deep")
    scalar = _scalar(value)
    if scalar is not None:
        _put(write, *scalar)
    elif isinstance(value, Tensor | np.ndarray | np.generic):
        _feed_array(write, value, depth)
    else:
        _feed_container(write, value, depth)


def _scalar(value: Any) -> tuple[str, bytes] | None:
    """(type tag, content) of a value without parts."""
    if value is None or isinstance(value, bool):
        return "word", repr(value).encode()
    if isinstance(value, np.generic):
        return None  # some are subclasses of Python's numbers: all of them are read as arrays
    for kinds, tag, encode in _SCALARS:
        if isinstance(value, kinds):
            return tag, encode(value)
    return None


def _one_nan(number: float) -> bytes:
    return struct.pack("<d", math.nan if math.isnan(number) else number + 0.0)


_SCALARS: tuple[tuple[Any, str, Callable[[Any], bytes]], ...] = (
    (int, "int", lambda value: str(int(value)).encode()),
    (float, "float", _one_nan),
    (complex, "complex", lambda value: _one_nan(value.real) + _one_nan(value.imag)),
    ((str, PurePath), "text", lambda value: str(value).encode("utf-8", "surrogatepass")),
    ((bytes, bytearray, memoryview), "bytes", bytes),
    ((date, time, timedelta), "time", lambda value: f"{type(value).__name__} {value}".encode()),
)


def _feed_array(write: Callable[[bytes], None], value: Any, depth: int) -> None:
    array, kind = _to_array(value)
    shape, array = repr(array.shape).encode(), np.atleast_1d(array)
    if array.dtype.kind == "O":
        _put(write, "objects", shape)
        for item in array.ravel():
            _feed(write, item, depth + 1)
        return
    if array.dtype.kind in "fc":
        array = array + array.dtype.type(0)  # turns -0.0 into 0.0
        array[np.isnan(array)] = np.nan
    _put(write, f"array {kind}", shape)
    _put(write, "data", np.ascontiguousarray(array).tobytes())


def _to_array(value: Any) -> tuple[np.ndarray[Any, Any], str]:
    """The numbers as an array, and the name of their type."""
    if not isinstance(value, Tensor):
        array = np.asarray(value)
        return array, array.dtype.name
    dense, kind = value.detach().cpu(), str(value.dtype).removeprefix("torch.")
    if dense.is_quantized:
        dense = dense.dequantize()
    if dense.layout is not torch.strided:
        dense = dense.to_dense()
    if dense.is_floating_point() and dense.dtype not in _FLOATS:
        dense = dense.float()  # NumPy has no bfloat16 and no float8
    return dense.resolve_conj().resolve_neg().numpy(), kind


def _feed_container(write: Callable[[bytes], None], value: Any, depth: int) -> None:
    pairs = as_mapping(value)
    if pairs is not None:
        keyed = sorted((fingerprint(key), key) for key in pairs)
        _put(write, "mapping", str(len(keyed)).encode())
        for key_print, key in keyed:
            write(key_print)
            _feed(write, pairs[key], depth + 1)
    elif isinstance(value, Sequence):
        _put(write, "sequence", str(len(value)).encode())
        for item in value:
            _feed(write, item, depth + 1)
    elif isinstance(value, Set):
        _put(write, "set", b"".join(sorted(fingerprint(item) for item in value)))
    elif is_image(value):
        _put(write, "image", f"{value.mode} {value.size}".encode())
        _put(write, "data", value.tobytes())
    else:
        raise Unreadable(f"{type(value).__module__}.{type(value).__qualname__}")


def is_image(value: Any) -> bool:
    """A PIL image, recognised by what it offers so that PIL need not be installed."""
    return all(hasattr(value, name) for name in ("mode", "size", "tobytes", "getbands"))


def as_mapping(value: Any) -> Mapping[Any, Any] | None:
    """The parts of a mapping, a dataclass, a named tuple or a graph object by name; None for anything else."""
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if hasattr(value, "_fields") and isinstance(value, tuple):
        return value._asdict()  # type: ignore[attr-defined]
    keys: Any = getattr(value, "keys", None)
    if callable(keys) and hasattr(value, "__getitem__"):
        named: Any = value  # a library's sample that is no Mapping
        return {key: named[key] for key in named.keys()}  # noqa: SIM118
    return None


def _put(write: Callable[[bytes], None], tag: str, content: bytes) -> None:
    """Lengths in front, so that ("ab", "c") and ("a", "bc") differ."""
    write(struct.pack("<IQ", len(tag), len(content)) + tag.encode() + content)
