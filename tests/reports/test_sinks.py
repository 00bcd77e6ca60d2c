import math
import os
from dataclasses import replace

import pytest
from tests.reports.trackers import READERS

from gonogo.core.measurement import Measurement, Observation
from gonogo.errors import ProfileError
from gonogo.reports import sinks
from gonogo.reports.files import write_all

# The three libraries warn of each other's and of their own future.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
LOSSES = [(0, 2.5), (10, 1.25), (20, 0.1)]
SECRET = "hunter2secret"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty current folder, no tracker configured, nothing to reach; returns where trackers keep their files."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "WANDB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / ".gonogo"


@pytest.fixture
def quick_mlflow(place, monkeypatch):
    """MLflow on plain files: a new database takes it 13 s."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (place / "store").as_uri())


def near(name, value):
    """TensorBoard keeps 32 bits."""
    return pytest.approx(value, rel=1e-6 if name == "tensorboard" else 0, abs=0, nan_ok=True)


@pytest.mark.requirement("SAFE-14")
@pytest.mark.parametrize("name", READERS)
@pytest.mark.usefixtures("quick_mlflow")
def test_live_values_are_read_back_as_they_were_logged(place, name):
    sink = sinks.open_tracker(name, "a run")
    for step, loss in LOSSES:
        sink.log(step, {"loss": loss, "gradient norm (raw)": math.nan})
    sink.close()
    series, _, _ = READERS[name](place)
    assert [step for step, _ in series["gonogo/loss"]] == [0, 10, 20]
    assert [float(value) for _, value in series["gonogo/loss"]] == near(name, [loss for _, loss in LOSSES])
    assert [float(value) for _, value in series["gonogo/gradient norm _raw_"]] == near(name, [math.nan] * 3)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.usefixtures("quick_mlflow")
def test_a_report_is_kept_with_its_verdict_every_measurement_and_its_files(place, tmp_path, no_go, name):
    secret = f"password={SECRET}"
    broken = replace(no_go.results[0], id="data.nan", observation=Observation({"loss": Measurement(math.inf)}))
    report = replace(no_go, results=(*no_go.results, broken), subject=f"train.py {secret}")
    files = write_all(report, tmp_path / "out")
    tracker = sinks.open_tracker(name, f"train.py {secret}")
    assert SECRET not in tracker.publish(report, files)
    tracker.alert("Diverged", f"since step 20, {secret}")
    tracker.close()
    series, tags, texts = READERS[name](place)
    wanted = sinks.measured(report)
    assert wanted["gonogo/data.split-overlap/shared"] == 0.122
    assert math.isinf(wanted["gonogo/data.nan/loss"])
    assert {measure: float(values[-1][1]) for measure, values in series.items()}.keys() == wanted.keys()
    finite = {measure: value for measure, value in wanted.items() if math.isfinite(value)}
    assert {measure: series[measure][-1][1] for measure in finite} == near(name, finite)
    assert tags["gonogo.verdict"] == "NO-GO"
    assert texts["report.md"] == files["markdown"].read_text()
    if name != "tensorboard":
        assert texts.keys() == {"report.html", "report.json", "report.md"}
    leaks = [path for path in place.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert leaks == []


@pytest.mark.parametrize("name", READERS)
@pytest.mark.usefixtures("quick_mlflow")
def test_a_tracker_that_gets_nothing_leaves_no_run(place, name):
    sinks.open_tracker(name, "a run").close()
    left = [path for path in place.rglob("*") if "run-" in path.name or "tfevents" in path.name or path.name == "tags"]
    assert left == []


@pytest.mark.parametrize("name", READERS)
@pytest.mark.usefixtures("quick_mlflow")
def test_nothing_is_written_beside_the_folder_of_gonogo(place, go, tmp_path, name):
    tracker = sinks.open_tracker(name, "a run")
    tracker.publish(go, write_all(go, tmp_path / "out"))
    tracker.close()
    assert {path.name for path in tmp_path.iterdir()} <= {".gonogo", "out", "home"}


@pytest.mark.parametrize("name", sinks.TRACKERS)
def test_a_missing_library_is_told_with_the_extra_that_brings_it(name, monkeypatch):
    monkeypatch.setattr(sinks, "find_spec", lambda library: None)
    with pytest.raises(ProfileError, match=rf"pip install 'gonogo\[{name}\]'"):
        sinks.open_tracker(name, "a run")


def test_a_misspelt_tracker_is_told_with_the_nearest_name():
    with pytest.raises(ProfileError, match="Did you mean 'mlflow'"):
        sinks.open_tracker("mflow", "a run")


@pytest.mark.usefixtures("quick_mlflow")
def test_an_active_run_of_mlflow_is_used_and_left_open(go, tmp_path):
    import mlflow

    with mlflow.start_run() as active:
        tracker = sinks.open_tracker("mlflow", "a run")
        tracker.publish(go, write_all(go, tmp_path / "out"))
        tracker.close()
        run = mlflow.MlflowClient().get_run(active.info.run_id)
        assert run.info.status == "RUNNING"
    assert run.data.tags["gonogo.verdict"] == "GO"


@pytest.mark.usefixtures("quick_mlflow")
def test_the_run_and_the_experiment_that_the_environment_names_are_used(place, monkeypatch):
    import mlflow

    client = mlflow.MlflowClient()
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "theirs")
    sinks.open_tracker("mlflow", "a run").alert("a", "b")
    experiment = client.get_experiment_by_name("theirs").experiment_id
    (run,) = client.search_runs([experiment])
    assert run.info.run_name == "a run"
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    sinks.open_tracker("mlflow", "another").log(1, {"loss": 1.0})
    assert len(client.search_runs([experiment])) == 1


@pytest.mark.usefixtures("quick_mlflow")
def test_a_run_that_is_not_there_is_refused_before_anything_is_logged(monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(ProfileError, match=f"mlflow cannot be used: .*{'0' * 32}.*not found"):
        sinks.open_tracker("mlflow", "a run")


@pytest.mark.slow
def test_without_settings_mlflow_has_its_own_database_and_artefacts(place, go, tmp_path):
    tracker = sinks.open_tracker("mlflow", "a run")
    tracker.publish(go, write_all(go, tmp_path / "out"))
    tracker.close()
    series, tags, _ = READERS["mlflow"](place)
    assert tags["gonogo.verdict"] == "GO"
    assert {name: values[0][1] for name, values in series.items()} == sinks.measured(go)
    assert list((place / "mlflow" / "artifacts").rglob("report.html"))
    assert {path.name for path in tmp_path.iterdir()} <= {".gonogo", "out", "home"}


def test_a_live_run_of_wandb_is_used_and_left_open(place, go, tmp_path):
    import wandb

    place.mkdir()
    with wandb.init(project="theirs", dir=str(place), settings=wandb.Settings(quiet=True)) as live:
        live.log({"loss": 1.0}, step=7)
        tracker = sinks.open_tracker("wandb", "a run")
        tracker.log(3, {"loss": 0.5})
        tracker.publish(go, write_all(go, tmp_path / "out"))
        tracker.close()
        assert wandb.run is live
        assert live.tags == ("gonogo.verdict=GO",)
    series, _, _ = READERS["wandb"](place)
    assert series["gonogo/loss"] == [(3, 0.5)]


def test_wandb_without_a_login_is_refused_with_the_way_out(place, monkeypatch):
    import wandb

    wandb.teardown()  # it reads its settings once
    monkeypatch.setenv("WANDB_MODE", "online")
    try:
        with pytest.raises(ProfileError, match="WANDB_MODE=offline"):
            sinks.open_tracker("wandb", "a run")
    finally:
        wandb.teardown()


def test_the_command_line_which_may_hold_a_secret_does_not_reach_wandb(place, monkeypatch):
    import wandb

    wandb.teardown()
    monkeypatch.setattr("sys.argv", ["gonogo", f"password={SECRET}"])
    sink = sinks.open_tracker("wandb", "a run")
    sink.log(0, {"loss": 1.0})
    sink.close()
    wandb.teardown()  # waits until all is written
    assert not [path for path in place.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
