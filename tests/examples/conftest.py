"""The examples are scripts, not an installed package: their folders become importable here."""

import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"

sys.path[:0] = [str(EXAMPLES), str(EXAMPLES / "broken")]
