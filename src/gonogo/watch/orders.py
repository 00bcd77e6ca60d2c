"""What the supervisor orders the watched process, by environment variables: children of the script inherit them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER, STEPS, SECONDS = "GONOGO_WATCH", "GONOGO_WATCH_STEPS", "GONOGO_WATCH_SECONDS"
DEFAULT_STEPS, DEFAULT_SECONDS = 50, 20.0


@dataclass(frozen=True, slots=True)
class Orders:
    """Where to write, and when to end: after `steps` optimizer steps, but not before `seconds` of training."""

    folder: Path
    steps: int = DEFAULT_STEPS
    seconds: float = DEFAULT_SECONDS

    def environment(self) -> dict[str, str]:
        """The orders as environment variables."""
        return {FOLDER: str(self.folder), STEPS: str(self.steps), SECONDS: str(self.seconds)}

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> "Orders | None":
        """The orders in an environment; None if there are none."""
        if not environment.get(FOLDER):
            return None
        steps, seconds = environment.get(STEPS, DEFAULT_STEPS), environment.get(SECONDS, DEFAULT_SECONDS)
        return cls(Path(environment[FOLDER]), int(steps), float(seconds))
