"""MAFT against its baselines on the stressed word: docs/benchmarks/maft.md and benchmarks/results/maft.json.

`python benchmarks/bench_maft.py [--resume] [--jobs N] [key=value ...]`: three seeds of seven variants, about forty
CPU-minutes. What is trained is journalled in .gonogo/bench-maft: after a kill, --resume goes on.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = Path(".gonogo") / "bench-maft"
KEPT = {"report.md": ROOT / "docs/benchmarks/maft.md", "report.json": ROOT / "benchmarks/results/maft.json"}


def main() -> int:
    """The exit code of the study; its results are kept only if every training reached its end."""
    command = [sys.executable, "-m", "gonogo", "study", "maft", "--seeds", "3", "--out", str(FOLDER), *sys.argv[1:]]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code == 0:
        for name, path in KEPT.items():
            shutil.copyfile(ROOT / FOLDER / name, path)
            print(f"kept: {path.relative_to(ROOT)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
