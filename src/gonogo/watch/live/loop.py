"""`with gonogo.watch(model, optimizer):` around a training loop."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Optimizer

from gonogo.errors import SubjectError, TrainingStopped
from gonogo.watch.live.course import FOLDER, Live
from gonogo.watch.live.detectors import Finding
from gonogo.watch.live.memory import advise
from gonogo.watch.live.post import Receiver
from gonogo.watch.live.settings import settings_of


class Watch:
    """Watches what trains inside its context; raises TrainingStopped out of `optimizer.step()` where a finding stops.

    Args:
        model: What is trained.
        optimizer: Its optimizer, or several; steps are those of the first.
        profile: Name or path of a profile, or the mapping below its `watch:`.
        start: Optimizer steps already behind; by default what the optimizer's state says.
        folder: Where the log is kept.
        sinks: Receivers of live values, such as `gonogo.reports.sinks.open_tracker` gives.
        on_alert: Called with each finding that is an alert or a stop.
        changes: Single settings, such as `no_fall="stop"`.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | Sequence[Optimizer],
        profile: str | Mapping[str, Any] | None = None,
        *,
        start: int | None = None,
        folder: str | Path = FOLDER,
        sinks: Sequence[Receiver] = (),
        on_alert: Callable[[Finding], Any] | None = None,
        **changes: Any,
    ) -> None:
        self._model, self._start = model, start
        self._optimizers = list(optimizer) if isinstance(optimizer, Sequence) else [optimizer]
        if not self._optimizers or not all(isinstance(one, Optimizer) for one in self._optimizers):
            raise SubjectError(f"watch: an optimizer of torch.optim was expected, {type(optimizer).__name__} was found")
        settings = settings_of(profile, changes)
        self._make = lambda: Live(settings, Path(folder), sinks, on_alert)
        self.live = self._make()

    def __enter__(self) -> "Watch":
        self.live = self._make()
        self.live.open(self._model, self._optimizers, self._start)
        # After the watch's own hook, which sees the step first.
        self._stop = self._optimizers[0].register_step_post_hook(self._raise)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self._stop.remove()
        if error is not None:
            advise(error, self.live.ears.batch_size)
        self.live.close(error)

    def log(self, **values: Any) -> None:
        """Send further numbers of this step, such as those of a validation, to the log and the trackers."""
        self.live.add(values)

    def _raise(self, *_: Any) -> None:
        if (found := self.live.stop) is not None:
            raise TrainingStopped(f"step {found.step}: {found.kind}: {found.text}")
