import pytest

from gonogo.errors import ProfileError
from gonogo.reports import files


def test_every_format_is_written_under_its_usual_name(no_go, tmp_path):
    paths = files.write_all(no_go, tmp_path / "runs" / "1")
    assert {path.name for path in paths.values()} == {"report.json", "report.md", "report.html", "junit.xml"}
    assert all(path.read_text(encoding="utf-8") == files.render(no_go, name) for name, path in paths.items())


def test_nothing_else_is_left_in_the_folder(no_go, tmp_path):
    files.write_all(no_go, tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_failed_write_leaves_the_old_file_as_it_was(go, tmp_path, monkeypatch):
    files.write_all(go, tmp_path)
    before = (tmp_path / "report.json").read_text()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        files.write_all(go, tmp_path)
    assert (tmp_path / "report.json").read_text() == before
    assert len(list(tmp_path.iterdir())) == 4


def test_an_unknown_format_is_refused_with_the_nearest_one(go):
    with pytest.raises(ProfileError, match="Did you mean 'markdown'"):
        files.render(go, "markdwn")
