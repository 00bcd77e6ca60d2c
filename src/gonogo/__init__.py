"""gonogo measures whether a PyTorch training run is ready to launch: GO, NO-GO or HOLD, with the evidence.

Names are loaded when first used, so that importing gonogo does not import torch.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Capability": "gonogo.core.capability",
    "Claims": "gonogo.training.claims",
    "Effort": "gonogo.core.check",
    "Evidence": "gonogo.core.measurement",
    "GonogoError": "gonogo.errors",
    "Measurement": "gonogo.core.measurement",
    "NotApplicable": "gonogo.errors",
    "Observation": "gonogo.core.measurement",
    "Report": "gonogo.core.report",
    "Session": "gonogo.training.session",
    "Split": "gonogo.training.subject",
    "Status": "gonogo.core.criterion",
    "Subject": "gonogo.training.subject",
    "Table": "gonogo.core.measurement",
    "at_least": "gonogo.core.criterion",
    "at_most": "gonogo.core.criterion",
    "check": "gonogo.core.check",
    "fault": "gonogo.core.check",
    "instrument": "gonogo.instruments.memo",
    "judge": "gonogo.core.judge",
    "load_profile": "gonogo.core.profile",
    "run": "gonogo.execution.inline",
    "watch": "gonogo.watch",
    "within": "gonogo.core.criterion",
}

__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gonogo' has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    return home if home.__name__ == f"{__name__}.{name}" else getattr(home, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
