from pathlib import Path

import pytest

from gonogo.core.catalogue import load_index
from gonogo.core.profile import load_profile
from gonogo.testing.golden import check_golden
from gonogo.testing.matrix import matrix

GOLDEN = Path(__file__).parent.parent / "golden" / "matrix.txt"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_detection_matrix_is_as_reviewed():
    check_golden(GOLDEN, matrix(list(load_index()), load_profile("standard"), lambda row: None) + "\n")
