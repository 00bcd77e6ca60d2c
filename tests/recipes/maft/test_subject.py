import pytest
import torch

from gonogo.cli.main import guarded
from gonogo.cli.run import run
from gonogo.core.capability import Capability as C
from gonogo.errors import SubjectError
from gonogo.training.session import Session
from gonogo_recipes.maft.settings import load
from gonogo_recipes.maft.subject import PARAMETERS, build

TINY = {"data.samples": 64, "data.valid_samples": 32, "data.test_samples": 32}


@pytest.fixture(scope="module")
def subject():
    return build(**TINY)


@pytest.mark.requirement("MAFT-10.5")
def test_the_subject_gives_everything_that_checks_ask_for(subject):
    assert set(C) - subject.provides() <= {C.GROUPS, C.CAUSAL_CLAIM, C.PADDING_CLAIM, C.RECORDING}


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_the_published_parameter_counts_are_exact(size):
    own = build(size=size, **TINY)
    assert sum(p.numel() for p in own.model().parameters()) == PARAMETERS[size] == own.claims.parameters


@pytest.mark.slow
def test_the_published_parameter_count_of_the_full_model_is_exact():
    with torch.device("meta"):
        from gonogo_recipes.maft.model import build_model

        assert sum(p.numel() for p in build_model(load({"size": "base"})).parameters()) == PARAMETERS["base"]


def test_another_width_claims_no_count():
    assert build(**TINY, **{"model.hidden_dim": 24}).claims.parameters is None


def test_synthetic_data_and_a_reduced_model_are_labelled(subject):
    assert subject.proxy == "synthetic clips in place of a corpus; a model of width 16 in place of 768"
    assert build(size="base", **TINY).proxy == "synthetic clips in place of a corpus"


@pytest.mark.requirement("MAFT-3.1")
def test_the_answers_are_those_of_the_heads(subject):
    session = Session(subject)
    [batch] = session.batches(limit=1)
    shapes = {name: tuple(leaf.shape) for name, leaf in session.outputs(batch).items()}
    assert shapes == {"logits": (16, 2), "regression": (16, 1)} | {
        f"logits_{stream}": (16, 2) for stream in ("text", "audio", "visual")
    }


def test_the_claimed_schedule_is_that_of_the_run(subject):
    assert subject.claims.total_steps == 3 * 4
    assert (subject.claims.final_lr, subject.claims.max_norm, subject.claims.resume) == (0.0, 1.0, "exact")


def test_another_configuration_builds_another_run(subject):
    other = subject.with_config({**subject.config, "training": {**subject.config["training"], "max_norm": 0.5}})
    assert other.claims.max_norm == 0.5


def test_settings_of_other_tasks_are_no_part_of_the_run(subject):
    assert not {"correlation", "align_words", "path", "nonfinite"} & subject.config["data"].keys()
    assert build(**TINY, **{"data.task": "correlated"}).config["data"]["correlation"] == 0.5


def test_a_file_and_overrides_are_told_apart(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("size: tiny\nmodel: {num_layers: 2}\n")
    own = build(str(file), **TINY, **{"training.epochs": 7})
    assert own.config_file == file
    assert own.config["model"]["num_layers"] == 2
    assert "training.epochs=7" in own.overrides


def test_wrong_settings_are_errors_of_the_subject():
    with pytest.raises(SubjectError, match="hidden_dim 16 is not divisible by num_heads 7; 4, 8 or 16 would do"):
        build(**{"model.num_heads": 7})


@pytest.mark.slow
@pytest.mark.requirement("MAFT-10.6")
def test_gonogo_run_maft_refuses_wrong_settings_with_exit_code_2(tmp_path, capsys):
    code = guarded(lambda: run("maft", ["model.num_heads=7"], out=tmp_path))
    assert code == 2
    assert "is not divisible by num_heads 7; 4, 8 or 16 would do" in capsys.readouterr().err
