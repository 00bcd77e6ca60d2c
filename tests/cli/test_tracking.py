import pytest
from tests.reports.conftest import make_report
from tests.reports.trackers import of_tensorboard

from gonogo.cli import report, run, watch
from gonogo.errors import ProfileError
from gonogo.reports import files, sinks
from gonogo.reports.as_json import render
from gonogo.watch.launch import Ended

TOY = "gonogo.testing.toys:classifier"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "true")
    (tmp_path / "little.yaml").write_text("select: [model.initial-loss]\nrequired: [model.initial-loss]\n")
    return tmp_path


@pytest.fixture
def saved(here):
    (here / "report.json").write_text(render(make_report()))
    return here


@pytest.fixture
def full_disk(monkeypatch):
    """A tracker that can be opened and does not take the report."""

    class Full:
        def publish(self, report, files):
            raise OSError(28, "No space left on device, password=hunter2secret")

    monkeypatch.setattr(sinks, "open_tracker", lambda name, title: Full())


def test_a_run_is_sent_to_the_tracker_that_is_named(here):
    assert run.run(TOY, profile="little.yaml", to=["tensorboard", "tensorboard"]) == 0
    series, tags, _ = of_tensorboard(here / ".gonogo")
    assert tags["gonogo.verdict"] == "GO"
    assert "gonogo/model.initial-loss/ratio_to_chance" in series


def test_a_missing_library_is_told_before_anything_is_measured_or_written(here, monkeypatch):
    monkeypatch.setattr(sinks, "find_spec", lambda library: None)
    with pytest.raises(ProfileError, match="pip install"):
        run.run("there_is_no_such_subject", to=["mlflow"])
    assert not (here / ".gonogo").exists()


@pytest.mark.usefixtures("full_disk")
def test_a_tracker_that_fails_at_the_end_costs_neither_the_reports_nor_the_exit_code(here, capsys, monkeypatch):
    monkeypatch.setattr(run, "execute", lambda request, folder, listen: make_report())
    assert run.run(TOY, to=["wandb"], out=here / "out") == make_report().exit_code == 4
    assert all((here / "out" / name).is_file() for name in files.NAMES.values())
    said = capsys.readouterr().err
    assert "wandb did not take the report: [Errno 28] No space left" in said
    assert "hunter2" not in said


def test_what_a_watch_found_is_sent(here, monkeypatch):
    monkeypatch.setattr(watch.launch, "run", lambda words, orders: Ended(0))
    assert watch.watch(["python", "train.py"], to=["tensorboard"]) == 4
    _, tags, _ = of_tensorboard(here / ".gonogo")
    assert (tags["gonogo.verdict"], tags["gonogo.subject"]) == ("HOLD", "python train.py")


def test_a_tracker_that_is_not_there_is_told_before_a_script_is_started(here):
    with pytest.raises(ProfileError, match="there is no tracker 'tensorbord'"):
        watch.watch(["python", "train.py"], to=["tensorbord"])
    assert not (here / ".gonogo").exists()


def test_a_saved_report_can_be_sent(saved):
    report.report(saved, to=["tensorboard"])
    _, tags, _ = of_tensorboard(saved / ".gonogo")
    assert tags["gonogo.verdict"] == "HOLD"


@pytest.mark.usefixtures("full_disk")
def test_every_tracker_has_its_turn_before_failures_are_told(saved):
    with pytest.raises(ProfileError, match=r"mlflow did not take the report: .*; wandb did not take"):
        report.report(saved, to=["mlflow", "wandb"])
