from pathlib import Path

import pytest

from gonogo.reports import files
from gonogo.testing.golden import check_golden

GOLDEN = Path(__file__).parents[1] / "golden"
ENDINGS = {"json": "json", "markdown": "md", "html": "html", "junit": "xml", "text": "txt", "github": "github"}


@pytest.mark.parametrize("format", files.FORMATS)
def test_a_report_looks_as_reviewed(no_go, format):
    check_golden(GOLDEN / f"report.{ENDINGS[format]}", files.render(no_go, format))


def test_a_difference_is_shown_with_the_way_to_accept_it(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("a\nb\n")
    with pytest.raises(AssertionError, match=r"-b\n\+c[\s\S]*UPDATE_GOLDEN=1"):
        check_golden(path, "a\nc\n", update=False)


def test_a_missing_golden_file_is_a_difference(tmp_path):
    with pytest.raises(AssertionError):
        check_golden(tmp_path / "x.txt", "a\n", update=False)


def test_an_update_writes_the_file(tmp_path):
    check_golden(tmp_path / "new" / "x.txt", "a\n", update=True)
    check_golden(tmp_path / "new" / "x.txt", "a\n", update=False)
