"""Mistake: PyYAML reads `lr: 1e-3` as text, since YAML 1.1 wants a point (1.0e-3), and a float() in the code hides it.

Caught by config.number-types, which warns: the next reader of the file, a sweep or a logger, will not call float().
"""

from dataclasses import replace
from pathlib import Path

import yaml
from healthy import digits

from gonogo import Subject

CONFIG = Path(__file__).with_suffix(".yaml")


def subject() -> Subject:
    given = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    healthy = digits.subject(lr=float(given["lr"]), seed=given["seed"])
    return replace(healthy, config=CONFIG)
