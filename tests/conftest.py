"""For every test: one thread (micro steps are far slower with more), and Hypothesis without a clock."""

import os
import sys

import pytest
from hypothesis import settings

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported; worker processes inherit it

settings.register_profile("local", deadline=None, max_examples=50)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    # torch is not imported here: the tests of the core must run without it.
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
