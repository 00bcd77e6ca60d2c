"""Where the steps of a padded array lie. The side that is padded is inferred, then asserted against the format."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Int, Shaped

from gonogo.errors import SubjectError

Side = Literal["front", "end"]
Spans = tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]  # first step, and the one after the last, of each sample


def filled(content: Shaped[np.ndarray, "n steps ..."]) -> Bool[np.ndarray, "n steps"]:
    """Which steps are not zero throughout; nan is not zero. Sample by sample: the array may be large."""
    flat = content.reshape(*content.shape[:2], -1)
    return np.stack([(sample != 0).any(-1) for sample in flat]) if len(flat) else np.zeros(flat.shape[:2], dtype=bool)


def side(steps: Bool[np.ndarray, "n steps"]) -> Side | None:
    """Where zeros are, by the majority of samples that have some at one end only; None if no sample is padded."""
    first, last = steps[:, 0], steps[:, -1]
    front, end = int((last & ~first).sum()), int((first & ~last).sum())
    return None if front == end else "front" if front > end else "end"


def spans(name: str, content: Shaped[np.ndarray, "n steps ..."], expected: Side) -> Spans:
    """Where each sample lies in a zero-padded array; a sample of zeros alone is empty.

    Raises:
        SubjectError: The array is padded on the other side.
    """
    steps = filled(content)
    _assert_side(name, steps, expected)
    count, longest = steps.shape
    empty = ~steps.any(-1)
    start = np.where(empty, 0, steps.argmax(-1)) if expected == "front" else np.zeros(count, dtype=int)
    stop = longest - steps[:, ::-1].argmax(-1) if expected == "end" else np.full(count, longest)
    return start, np.where(empty, start, stop)


def of_lengths(name: str, content: Shaped[np.ndarray, "n steps ..."], lengths: Int[np.ndarray, " n"]) -> Spans:
    """The spans of samples padded at the end whose lengths are given.

    Raises:
        SubjectError: A length does not fit the array, or there is content where padding should be.
    """
    longest = content.shape[1]
    if len(lengths) != len(content) or not ((lengths >= 0) & (lengths <= longest)).all():
        found = f"{len(lengths)} lengths from {min(lengths, default=0)} to {max(lengths, default=0)}"
        raise SubjectError(f"{name}: {found} for {len(content)} samples of at most {longest} steps")
    steps = filled(content)
    beyond = steps & (np.arange(longest) >= lengths[:, None])
    if beyond.any():
        sample = int(beyond.any(-1).argmax())
        found = f"sample {sample} has content after its length of {lengths[sample]}"
        near = " (it is padded at the front)" if side(steps) == "front" else ""
        raise SubjectError(f"{name}: {found}{near}; this format pads at the end, with zeros")
    return np.zeros(len(content), dtype=int), lengths


def of_mask(name: str, mask: Shaped[np.ndarray, "n steps"]) -> Spans:
    """The spans of samples padded at the end, by a mask of ones and zeros.

    Raises:
        SubjectError: A mask goes back to one after a zero, or holds something else.
    """
    ones = mask == 1
    if not (ones | (mask == 0)).all() or (np.diff(ones.astype(int), axis=1) > 0).any():
        raise SubjectError(f"{name}: its attention mask is not ones, then zeros; this format pads at the end")
    return np.zeros(len(mask), dtype=int), ones.sum(-1)


def _assert_side(name: str, steps: Bool[np.ndarray, "n steps"], expected: Side) -> None:
    found = side(steps) if steps.size else None
    if found not in (None, expected):
        raise SubjectError(
            f"{name} is padded at the {found}, and this format pads at the {expected}; is it another format?"
        )
