"""Histories of real cards. They are not part of the project; where they are absent the tests are skipped."""

from pathlib import Path

import pytest

from gonogo.sizing.card.recorded import load, replay

FOLDER = next(
    (p / "shared/data/cuda_allocator_traces" for p in Path(__file__).parents if (p / "shared/data").exists()), None
)
TRACES = sorted(FOLDER.glob("*.npz")) if FOLDER else []
pytestmark = pytest.mark.skipif(not TRACES, reason="no recorded traces beside the project")

# Its record begins amid blocks that were already merged in an order that the record does not tell.
AMBIGUOUS = "a_512_training"


@pytest.mark.parametrize("path", [path for path in TRACES if path.stem != AMBIGUOUS], ids=lambda path: path.stem)
def test_every_block_lands_where_it_did_on_the_card(path):
    assert replay(*load(path)).address_exact


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_segments_and_reserved_bytes_are_those_of_the_card(path):
    found = replay(*load(path))
    assert (found.segments_wanted, found.peak_reserved) == (found.segments, found.recorded_peak_reserved)
