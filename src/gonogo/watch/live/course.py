"""The watch that stays on during the real training: looks every few steps, tells what is wrong, stops if told to.

    settings   reactions and limits: those of a profile, and changes
    taps       what it hears at every step, without waiting for a GPU
    gauges     what it reads at a look
    detectors  what is wrong; pure Python
    log        the log, which a resumed training continues
    ranks      a stop that all ranks take together
    post       trackers and webhooks, from a thread of their own
    memory     what to try when memory ran out
    loop       `with gonogo.watch(model, optimizer):`; gonogo.lightning and gonogo.transformers are the others

Its own mistakes are told once and never reach the training.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from gonogo.core.watch_settings import WatchSettings
from gonogo.reports.sinks import open_tracker
from gonogo.watch import patch
from gonogo.watch.live.detectors import Detectors, Finding, Look
from gonogo.watch.live.gauges import Gates, device_use, gradients, memory, values_of
from gonogo.watch.live.log import Log
from gonogo.watch.live.post import Post, Receiver, Webhook
from gonogo.watch.live.ranks import Ranks, rank
from gonogo.watch.live.taps import Ears
from gonogo.watch.taps.optimizers import rates

FOLDER = Path(".gonogo/watch")
PATIENCE = 10  # epochs in which a schedule may wait
FIRST = 10  # steps that are looked at one by one
LOGGER = logging.getLogger("gonogo.watch")


class Live:
    """One training under watch. `stop` is the finding that should end it; whoever drives the training asks for it."""

    def __init__(
        self,
        settings: WatchSettings,
        folder: Path = FOLDER,
        sinks: Sequence[Receiver] = (),
        on_alert: Callable[[Finding], Any] | None = None,
    ) -> None:
        self.rank, self.ranks = rank(), Ranks(FIRST, settings.every)
        self.settings, self.on_alert, self.sinks = settings, on_alert, list(sinks) if self.rank == 0 else []
        own = folder if self.rank == 0 else folder / f"rank-{self.rank}"
        self.log = Log(own, settings.log_bytes, settings.log_files)
        self.stop: Finding | None = None
        self._asked: Finding | None = None  # what should stop the training, as far as this rank knows
        self.step = self.start = 0
        self.ears = Ears()
        self._undo: list[Callable[[], None]] = []
        self._pending: list[Tensor] = []  # the loss of each step since the last look
        self._mistakes: set[str] = set()
        self._over = threading.Event()
        self._post = Post((), self._mistake)

    def open(self, model: nn.Module, optimizers: Sequence[Optimizer], start: int | None = None) -> None:
        """Begin after `start` optimizer steps; None: as far as the optimizer or the log is.

        Raises:
            ProfileError: A gate has no such name in this model.
        """
        self.gates = Gates(model, self.settings.gates)
        self._undo = [handle.remove for handle in self.gates.handles]
        self.optimizers = list(optimizers)
        self.detectors = Detectors(self.settings)
        self._rivals = False  # of two optimizers that play against each other none need fall
        self._last: tuple[Optimizer | None, int] = None, 0  # that stepped, and the backward passes before
        patch.MISTAKES.tell = lambda where, error: self._mistake(f"{where}: {type(error).__name__}: {error}")
        with self._safely("recall"):
            self._recall(steps_done(self.optimizers[0]) if start is None else start)
        self._looked_at, self._looked_step, self.gates.open = time.monotonic(), self.step, True
        self._write("begin", torch=torch.__version__)
        with self._safely("open"):
            self._undo += self.ears.install()
            # A compiled step calls them, and does not try to compile them.
            stepped: Any = torch.compiler.disable(self._stepped)
            any_stepped: Any = torch.compiler.disable(self._any_stepped)
            self._undo += [one.register_step_post_hook(stepped).remove for one in self.optimizers]
            self._undo.append(register_optimizer_step_post_hook(any_stepped).remove)
            self._receive()
            threading.Thread(target=self._watch_loader, name="gonogo-watch", daemon=True).start()

    def close(self, error: BaseException | None = None) -> None:
        """Take everything out, write the last line, wait for what is still to be sent."""
        self._over.set()
        while self._undo:
            self._undo.pop()()
        with self._safely("last look"):
            if self._pending or self._unticked():
                self._look()
        if error is None:
            self._write("end")
        else:
            self._write("error", error=f"{type(error).__name__}: {error}"[:500])
        with self._safely("close"):
            self.log.end()
            self._post.close()

    def add(self, values: Mapping[str, Any], kind: str = "values") -> None:
        """Keep further numbers of this step, such as those of a validation."""
        with self._safely("add"):
            numbers = {name: number for name, value in values.items() if (number := _number(value)) is not None}
            if numbers:
                self._write(kind, values=numbers)
                self._post.log(self.step, numbers)

    def tell(self, finding: Finding) -> None:
        """Log it, and act as the settings say."""
        reaction = getattr(self.settings, finding.kind, "alert")
        if reaction == "off":
            return
        self._write("finding", finding=finding.kind, text=finding.text)
        if reaction == "log":
            return
        if reaction == "stop":
            self._asked = self._asked or finding
        self._alert(finding)

    def _alert(self, finding: Finding) -> None:
        where = f"rank {self.rank}, " if self.rank else ""
        LOGGER.warning("%sstep %d: %s: %s", where, finding.step, finding.kind, finding.text)
        if self.rank == 0:
            self._post.alert(f"gonogo: {finding.kind} at step {finding.step}", finding.text)
            if self.on_alert is not None:
                with self._safely("on_alert"):
                    self.on_alert(finding)

    def _due(self, step: int) -> bool:
        return step - self.start <= FIRST or step % self.settings.every == 0

    def _recall(self, start: int | None) -> None:
        self.step = self.start = start or 0
        asked = self.log.folder.absolute()
        kept = self.log.begin(start)
        if self.log.folder != asked:
            LOGGER.warning("another training writes to %s; the log of this one is in %s", asked, self.log.folder)
        looks = [line for line in kept if line["kind"] == "look"]
        for line in looks:
            losses = tuple(float(loss) for loss in line.get("losses", ()))
            list(self.detectors.see(Look(line["step"], losses, epoch=line.get("epoch", 0))))
        self.detectors.told.clear()
        self.detectors.trend.fallen |= bool(start) and not looks  # the fall was before this log
        self.step = self.start = start if start is not None else max((line["step"] for line in kept), default=0)
        self.ears.epochs = looks[-1].get("epoch", 0) if looks else 0

    def _receive(self) -> None:
        receivers = list(self.sinks)
        if self.rank == 0:
            for name in self.settings.trackers:
                with self._safely(f"tracker {name}"):
                    receivers.append(open_tracker(name, f"watch {self.log.folder.name}"))
            if self.settings.webhook:
                receivers.append(Webhook(self.settings.webhook))
        self._post = Post(receivers, self._mistake)

    def _stepped(self, optimizer: Optimizer, *_: Any) -> None:
        if optimizer is not self.optimizers[0] or not self.ears.here:
            return
        self.step += 1
        with self._safely("step"):
            if self.ears.losses:
                self._pending.append(_mean(self.ears.losses))
                self.ears.losses = []
            if self._due(self.step):
                self._look()
            self.gates.open = self._due(self.step + 1)
        with self._safely("ranks"):
            self.stop = self.stop or self._agreed()

    def _any_stepped(self, optimizer: Optimizer, *_: Any) -> None:
        """Optimizers that share a loss step after one backward pass; those of rivals have one each."""
        if self.ears.here:
            heard, self.ears.backwards = self.ears.backwards, 0
            last, before = self._last
            self._last = optimizer, heard
            self._rivals |= last not in (None, optimizer) and (min(heard, before) > 0 or max(heard, before) > 1)

    def _agreed(self) -> Finding | None:
        """What should end the training now."""
        own = self._asked
        words = own and (own.kind, own.text if self.ranks.alone else f"rank {self.rank}: {own.text}")
        agreed = self.ranks.agreed(self.step - self.start, words)
        if agreed is None:
            return None
        found = Finding(agreed[0], self.step, agreed[1])
        if own is None:
            self._alert(found)
        return found

    def _write(self, kind: str, **fields: Any) -> None:
        with self._safely("log"):
            self.log.write(kind, self.step, at=time.time(), **fields)

    def _look(self) -> None:
        pending, self._pending = self._pending, []
        losses = values_of(pending) if pending else []
        norm, bad = gradients(self.optimizers)
        now, (used, free) = time.monotonic(), memory()
        seconds, steps = now - self._looked_at, self.step - self._looked_step
        self._looked_at, self._looked_step = now, self.step
        waited, self.ears.waited = self.ears.waited, 0.0
        look = Look(
            self.step,
            tuple(losses),
            bad,
            tuple(rate for one in self.optimizers for rate in rates(one)),
            fixed=self.ears.fixed and not self._rivals,
            unticked=self._unticked(),
            filling=self.ears.filling,
            epoch=self.ears.epochs,
            memory=used,
            free=free,
            waited=waited,
            seconds=seconds,
            shares=self.gates.shares(),
        )
        self._keep(look, {"gradient_norm": norm} if norm is not None else {}, steps)
        for finding in self.detectors.see(look):
            self.tell(finding)

    def _keep(self, look: Look, values: dict[str, float], steps: int) -> None:
        """Log a look, with numbers of the model's own, and send them."""
        values |= {"loss": look.losses[-1]} if look.losses else {}
        values |= {"learning_rate": max(look.rates)} if look.rates else {}
        values |= {f"memory_{name}": float(size) for name, size in look.memory.items()} | device_use()
        if look.seconds:
            values |= {"steps_per_second": steps / look.seconds, "data_wait": look.waited / look.seconds}
        values |= {f"gate/{name}": share for name, share in look.shares.items()} | dict(self.gates.rates())
        self._write("look", epoch=look.epoch, losses=look.losses, values=values)
        self._post.log(self.step, values)

    def _unticked(self) -> bool:
        """Has a schedule never stepped, though it had its time? Some step once in ten epochs."""
        late = self.ears.epochs > PATIENCE or self._over.is_set()
        return late and not self.ears.ticks and any(map(_scheduled, self.optimizers))

    def _watch_loader(self) -> None:
        limit, told = self.settings.loader_seconds, None
        while not self._over.wait(min(5.0, limit / 4)):
            since = self.ears.waiting_since
            if since is not None and since != told and time.monotonic() - since > limit:
                told = since
                with self._safely("loader"):
                    text = f"no batch for {limit:.0f} s: a worker hangs, or the storage does"
                    self.tell(Finding("dead_loader", self.step, text))

    @contextmanager
    def _safely(self, where: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._mistake(f"{where}: {type(error).__name__}: {error}")

    def _mistake(self, text: str) -> None:
        if text not in self._mistakes and len(self._mistakes) < 20:
            self._mistakes.add(text)
            LOGGER.warning("the watch itself failed; the training goes on. %s", text)


def _scheduled(optimizer: Optimizer) -> bool:
    """Is there a schedule of torch's own, which wraps the step? Others never tick here; that of SWA begins late."""
    return hasattr(optimizer.step, "_wrapped_by_lr_sched") and "swa_lr" not in optimizer.param_groups[0]


def steps_done(optimizer: Optimizer) -> int | None:
    """Steps that the optimizer has behind it, as its own state counts them; None if it has state but no count."""
    if not optimizer.state:
        return 0
    counts = [state["step"] for state in optimizer.state.values() if "step" in state]
    return int(max(float(count) for count in counts)) if counts else None


def _mean(losses: list[Tensor]) -> Tensor:
    """The loss of a step that accumulates several."""
    return losses[0] if len(losses) == 1 else torch.stack([loss.reshape(()).to(losses[0]) for loss in losses]).mean()


def _number(value: Any) -> float | None:
    if isinstance(value, Tensor):
        return float(value) if value.numel() == 1 else None
    return float(value) if isinstance(value, int | float) else None
