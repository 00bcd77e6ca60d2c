import json

import pytest

from gonogo.cli import options
from gonogo.cli.main import guarded
from gonogo.cli.run import run
from gonogo.core.profile import load_profile

# Questions that the issue of this recipe names, all of which its profile asks.
ASKED = {
    "modality.masked-content",
    "modality.padding",
    "modality.combinations",
    "modality.dropout-rate",
    "modality.use",
    "attention.rows",
    "attention.degenerate",
    "attention.pair-mass",
    "attention.bottleneck-cut",
    "loss.target-sensitivity",
    "gradient.clipping",
    "gradient.vanishing-exploding",
    "model.mask-polarity",
    "evaluation.metric-oracle",
    "evaluation.baselines",
    "environment.resources",
    "efficiency.resource-use",
    "loss.term-balance",
    "loss.extreme-values",
}


@pytest.mark.requirement("MAFT-10.5")
def test_the_recipe_has_a_profile_that_selects_what_the_standard_one_does():
    own, standard = load_profile(options.own_profile("maft")), load_profile("standard")
    assert own.name == "maft"
    assert set(standard.select) <= set(own.select)


def result_of(folder):
    report = json.loads((folder / "report.json").read_text())
    return report, {row["id"]: row["status"] for row in report["results"] if row["status"] != "SKIP"}


@pytest.mark.slow
@pytest.mark.requirement("MAFT-10.5")
def test_gonogo_run_maft_is_go_and_runs_every_check_of_the_recipe(tmp_path):
    assert guarded(lambda: run("maft", out=tmp_path, device="cpu")) == 0
    report, ran = result_of(tmp_path)
    assert report["verdict"] == "GO"
    assert sorted(ASKED - ran.keys()) == []


@pytest.mark.slow
@pytest.mark.requirement("MAFT-10.5")
def test_a_named_few_run_alone(tmp_path):
    guarded(lambda: run("maft", only=["attention"], out=tmp_path, device="cpu"))
    _, ran = result_of(tmp_path)
    assert ran
    assert all(name.startswith("attention.") for name in ran)
    assert set(ran.values()) == {"PASS"}
