"""The report and live numbers in MLflow.

MLflow's own default puts artefacts into ./mlruns of the current folder even where its database is elsewhere; here both
are below `.gonogo/mlflow`, unless MLFLOW_TRACKING_URI or an active run says otherwise.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

# MLflow reports its use over the network as soon as it is imported; gonogo sends nothing that nobody asked for.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow
from mlflow.entities import Metric

from gonogo.core.redact import redact
from gonogo.core.report import Decision, Report
from gonogo.reports.sinks import described, measured, named, own_folder

MOST = 1000  # metrics that one call may carry
WAIT = 1.0  # seconds that live values wait for company: a call costs milliseconds of a training
PARTS = ("html", "json", "markdown")


class Run:
    """The run that is active or that MLFLOW_RUN_ID names, else one of our own."""

    def __init__(self, title: str, folder: Path) -> None:
        self._title, self._alerts = title, 0
        self._uri = _uri(folder)
        self._client = mlflow.MlflowClient(self._uri)
        active = mlflow.active_run()
        self._given = active.info.run_id if active else os.environ.get("MLFLOW_RUN_ID", "")
        with _impatient():
            if self._given:
                self._client.get_run(self._given)  # one that is not there is refused now
            else:
                self._experiment = _experiment(self._client, self._uri, folder)
        self._waiting: list[Metric] = []
        self._sent, self._status = time.monotonic(), "FINISHED"

    @cached_property
    def _id(self) -> str:
        return self._given or self._client.create_run(self._experiment, run_name=self._title).info.run_id

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Keep the values of one step."""
        now = time.time_ns() // 1_000_000
        self._waiting += [Metric(name, float(value), now, step) for name, value in named(values).items()]
        if len(self._waiting) >= MOST or time.monotonic() - self._sent > WAIT:
            self._send()

    def alert(self, title: str, text: str) -> None:
        """A numbered tag: MLflow has no alerts of its own."""
        self._alerts += 1
        self._client.set_tag(self._id, f"gonogo.alert.{self._alerts}", redact(f"{title}: {text}")[:5000])
        self._send()

    def publish(self, report: Report, files: Mapping[str, Path]) -> str:
        """Tags, metrics of step 0, artefacts in `gonogo/`; a run of our own that is not GO ends as FAILED."""
        self._status = "FINISHED" if report.verdict is Decision.GO else "FAILED"
        for name, value in described(report).items():
            self._client.set_tag(self._id, name, value[:5000])
        now = time.time_ns() // 1_000_000
        self._waiting += [Metric(name, value, now, 0) for name, value in measured(report).items()]
        self._send()
        for part in PARTS:
            self._client.log_artifact(self._id, str(files[part]), "gonogo")
        return redact(f"MLflow: run {self._id} of {self._uri}")

    def close(self) -> None:
        """Send what waits; end the run if it is our own."""
        self._send()
        if "_id" in self.__dict__ and not self._given:
            self._client.set_terminated(self._id, self._status)

    def _send(self) -> None:
        while self._waiting:
            self._client.log_batch(self._id, self._waiting[:MOST])
            del self._waiting[:MOST]
        self._sent = time.monotonic()


@contextmanager
def _impatient() -> Iterator[None]:
    """A server that is not there is told in seconds; by MLflow's own settings it takes minutes."""
    name = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
    if name in os.environ:
        yield
        return
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]


def _uri(folder: Path) -> str:
    if mlflow.is_tracking_uri_set():
        return mlflow.get_tracking_uri()
    return f"sqlite:///{(own_folder(folder, 'mlflow') / 'mlflow.db').as_posix()}"


def _experiment(client: mlflow.MlflowClient, uri: str, folder: Path) -> str:
    """The id of the experiment; made if there is none of that name."""
    if given := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return client.get_experiment(given).experiment_id
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "gonogo")
    if found := client.get_experiment_by_name(name):
        return found.experiment_id
    # A server knows where its artefacts go; a database leaves it to us.
    database = "://" in uri and uri.split(":")[0].split("+")[0] in ("sqlite", "postgresql", "mysql", "mssql")
    place = (own_folder(folder, "mlflow") / "artifacts").as_uri() if database else None
    return client.create_experiment(name, artifact_location=place)
