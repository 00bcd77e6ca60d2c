"""The report and live numbers in Weights & Biases, online or offline as its own settings say."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import wandb
from wandb.errors import UsageError

from gonogo.core.redact import redact
from gonogo.core.report import Report
from gonogo.errors import ProfileError
from gonogo.reports.files import NAMES, write
from gonogo.reports.sinks import described, measured, named, own_folder

STEP = "gonogo/step"  # an axis of our own: a live run counts its steps itself
PARTS = ("html", "json", "markdown")


class Run:
    """The run that is live, else one of our own with the job type `preflight`."""

    def __init__(self, title: str, folder: Path) -> None:
        self._title, self._folder, self._exit_code = title, folder, 0
        self._live = wandb.run
        if self._live is None:
            _refuse_without_login()

    @cached_property
    def _run(self) -> Any:
        run = self._live or self._started()
        run.define_metric("gonogo/*", step_metric=STEP)
        return run

    def _started(self) -> Any:
        # W&B would put ./wandb into the user's folder, and keep the command line, which may carry a secret.
        own_folder(self._folder, "wandb")
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", "gonogo"),
            name=os.environ.get("WANDB_NAME", self._title),
            dir=os.environ.get("WANDB_DIR", str(self._folder.resolve())),
            job_type="preflight",
            settings=wandb.Settings(console="off", quiet=True, x_disable_meta=True, x_disable_stats=True),
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Keep the values of one step."""
        self._run.log({STEP: step, **named(values)})

    def alert(self, title: str, text: str) -> None:
        """Mail or Slack, as the user's W&B settings say."""
        self._run.alert(title=redact(title)[:63], text=redact(text), level="WARN")

    def publish(self, report: Report, files: Mapping[str, Path]) -> str:
        """A tag, the summary, and the files of the run in `gonogo/`."""
        run, tags = self._run, described(report)
        self._exit_code = report.exit_code
        verdict = f"gonogo.verdict={report.verdict.value}"
        run.tags = (*(tag for tag in run.tags or () if not tag.startswith("gonogo.verdict=")), verdict)
        run.summary.update({**measured(report), **tags})
        place = Path(run.dir)
        for part in PARTS:
            copy = place / "gonogo" / NAMES[part]
            copy.parent.mkdir(parents=True, exist_ok=True)
            write(copy, files[part].read_text(encoding="utf-8"))
            run.save(str(copy), base_path=str(place), policy="now", glob=False)
        return f"W&B: {f'wandb sync {place.parent}' if run.offline else run.url}"

    def close(self) -> None:
        """Finish the run if it is our own: as failed if the answer was not GO."""
        if "_run" in self.__dict__ and self._live is None:
            self._run.finish(exit_code=self._exit_code)


def _refuse_without_login() -> None:
    if wandb.setup().settings.mode not in ("online", "run", "shared"):
        return
    try:
        wandb.login()
    except UsageError as error:
        raise ProfileError(f"wandb: {error} WANDB_MODE=offline keeps the run on this machine.") from None
