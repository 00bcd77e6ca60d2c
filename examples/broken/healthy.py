"""The healthy examples, one folder up, for the files here to derive from: `from healthy import digits`.

Nothing but a file's own folder is importable when gonogo loads it by path; the folder above is added here, once.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import digits

__all__ = ["digits"]
