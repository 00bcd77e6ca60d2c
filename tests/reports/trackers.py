"""What each tracker holds, read back with its own library: {name: [(step, value), ...]}, texts by name, files."""

import json
import os
import struct
from pathlib import Path


def of_mlflow(place):
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts

    client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{place}/mlflow/mlflow.db")
    (run,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    names = run.data.metrics
    series = {name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)] for name in names}
    parts = [Path(part.path) for part in client.list_artifacts(run.info.run_id, "gonogo")]
    uri = f"{run.info.artifact_uri}/gonogo"
    texts = {part.name: Path(download_artifacts(f"{uri}/{part.name}")).read_text() for part in parts}
    return series, dict(run.data.tags), texts


def of_wandb(place):
    import wandb
    from wandb.proto import wandb_internal_pb2 as records

    wandb.teardown()  # waits for the service, which writes after `finish` has returned
    (file,) = place.glob("wandb/offline-run-*/run-*.wandb")
    series, summary = {}, {}
    for data in records_of(file.read_bytes()):
        record = records.Record()
        record.ParseFromString(data)
        row = {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for name in row.keys() - {"gonogo/step"}:
            series.setdefault(name, []).append((row.get("gonogo/step"), row[name]))
        for item in record.summary.update:
            summary[item.key or ".".join(item.nested_key)] = json.loads(item.value_json)
    own = {name: value for name, value in series.items() if name.startswith("gonogo/")}
    single = {name: [(0, value)] for name, value in summary.items() if name.startswith("gonogo/") and name not in own}
    texts = {path.name: path.read_text() for path in file.parent.glob("files/gonogo/*")}
    return {**single, **own}, summary, texts


def records_of(log):
    """The records of a W&B log, whose format is that of LevelDB: blocks of 32 KiB, fragments with 7 bytes of header.

    wandb 0.31 reads it only in its service.
    """
    block, header, place, parts = 32_768, 7, 7, b""  # the file itself starts with 7 bytes: its kind and version
    while place + header <= len(log):
        if block - place % block < header:
            place += block - place % block
            continue
        _, size, kind = struct.unpack_from("<IHB", log, place)
        parts += log[place + header : place + header + size]
        place += header + size
        if kind in (1, 4):  # whole, or the last fragment
            yield parts
            parts = b""


def of_tensorboard(place):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (folder,) = (place / "tensorboard").iterdir()
    events = EventAccumulator(str(folder))
    events.Reload()
    series = {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}
    texts = {name: events.Tensors(name)[-1].tensor_proto.string_val[0].decode() for name in events.Tags()["tensors"]}
    tags = {name.replace("/", ".", 1): text for name, text in texts.items()}
    return series, tags, {"report.md": texts.get("gonogo/report", "")}


READERS = {"mlflow": of_mlflow, "wandb": of_wandb, "tensorboard": of_tensorboard}
