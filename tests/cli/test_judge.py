"""`gonogo judge` without a profile judges as the report was judged."""

import json
from pathlib import Path

import pytest
from tests.reports.conftest import make_report, make_result

from gonogo.cli import judge
from gonogo.core.report import to_dict


def saved(folder: Path, name: str, subject: str = "train.py:subject") -> Path:
    report = make_report(make_result("watch.clearing"), profile={"name": name, "seed": 0}, subject=subject)
    (folder / "report.json").write_text(json.dumps(to_dict(report)))
    return folder


@pytest.mark.parametrize("name", ["quick", "watch"])
def test_a_report_is_judged_under_its_own_profile(tmp_path, name):
    assert judge._profile_of(judge.load(saved(tmp_path, name))) == name


def test_the_report_of_a_recipe_is_judged_under_the_profile_of_the_recipe(tmp_path):
    assert judge._profile_of(judge.load(saved(tmp_path, "maft", "maft"))).endswith("maft/profile.yaml")


def test_a_profile_of_a_file_that_is_elsewhere_is_the_standard_one(tmp_path):
    assert judge._profile_of(judge.load(saved(tmp_path, "mine"))) == "standard"
