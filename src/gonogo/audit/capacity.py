"""How much a sample can say: inputs of a few bits coincide by nature and prove nothing."""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from gonogo.audit.fingerprints import as_mapping, is_image
from gonogo.training import batch as batches

_READ = 4096  # values of one leaf that are looked at
_FLOAT_BITS = 23.0  # the fraction of a float32


class Alphabet:
    """The distinct values of each field, learned from a few samples."""

    def __init__(self, samples: Iterable[Any]) -> None:
        seen: dict[str, list[np.ndarray[Any, Any]]] = defaultdict(list)
        for sample in samples:
            for path, values in _leaves(sample):
                seen[path].append(values[:_READ])
        self._bits = {path: _bits_per_value(np.concatenate(parts)) for path, parts in seen.items()}

    def capacity(self, sample: Any) -> float:
        """Bits that the sample can hold: values x log2(distinct values); a constant field (a blank page) holds none."""
        return sum(self._of_leaf(path, values) for path, values in _leaves(sample))

    def _of_leaf(self, path: str, values: np.ndarray[Any, Any]) -> float:
        if values.size > 1 and (values == values[0]).all():
            return 0.0
        return values.size * self._bits.get(path, 0.0)


def _bits_per_value(values: np.ndarray[Any, Any]) -> float:
    distinct = len(np.unique(values))
    if values.dtype.kind == "f" and distinct > 0.9 * values.size and distinct > 8:
        return _FLOAT_BITS  # as good as never the same number twice
    return math.log2(max(distinct, 1))


def _leaves(sample: Any) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """(path, values in one dimension) of everything that can be counted."""
    parts = as_mapping(sample)
    found = [(path, _values(leaf)) for path, leaf in batches.walk(sample if parts is None else dict(parts))]
    return [(path, values) for path, values in found if values.size]


def _values(leaf: Any) -> np.ndarray[Any, Any]:
    if batches.is_numeric(leaf):
        return batches.as_tensor(leaf).detach().cpu().to_dense().double().flatten().numpy()
    if isinstance(leaf, str):
        return np.frombuffer(leaf.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if isinstance(leaf, bytes):
        return np.frombuffer(leaf, dtype=np.uint8)
    if is_image(leaf):
        return np.frombuffer(leaf.tobytes(), dtype=np.uint8)
    if isinstance(leaf, int | float):
        return np.array([float(leaf)])
    return np.empty(0)
