import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

import gonogo.reports
from gonogo.core.report import from_dict
from gonogo.reports import as_json


@pytest.mark.parametrize("name", ["go", "no_go", "hold"])
def test_a_rendered_report_follows_the_published_schema(reports, name):
    jsonschema.validate(json.loads(as_json.render(reports[name])), json.loads(as_json.schema_text()))


@pytest.mark.parametrize("key", ["verdict", "exit_code", "reasons", "coverage", "schema", "results"])
def test_the_schema_demands_what_readers_rely_on(go, key):
    plain = json.loads(as_json.render(go))
    del plain[key]
    with pytest.raises(jsonschema.ValidationError, match=key):
        jsonschema.validate(plain, json.loads(as_json.schema_text()))


def test_the_schema_file_is_current():
    path = Path(gonogo.reports.__file__).with_name("report.schema.json")
    assert path.read_text(encoding="utf-8") == as_json.schema_text()


def test_the_file_can_be_read_back(no_go):
    assert from_dict(json.loads(as_json.render(no_go)), "report.json").reasons[0].id == "data.split-overlap"


def test_the_json_is_strict_even_with_nan_in_the_environment(go):
    def refuse(constant):
        raise AssertionError(constant)

    report = replace(go, environment={"load": float("nan")})
    assert json.loads(as_json.render(report), parse_constant=refuse)["environment"] == {"load": None}
