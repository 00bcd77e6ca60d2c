import pytest

from gonogo.adapters.locate import locate
from gonogo.errors import SubjectError

SOURCE = """
from gonogo.testing.toys import TOYS
def build(name="classifier"):
    return TOYS[name]()
class Holder:
    build = staticmethod(build)
subject = build()
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "my_project.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


FORMS = ["my_project.py:build", "my_project:build", "my_project:Holder.build", "my_project.py"]


@pytest.mark.parametrize("text", FORMS)
def test_files_and_modules_are_found(project, text):
    assert locate(text, {}).name == "toy classifier"


def test_overrides_become_arguments(project):
    assert locate("my_project:build", {"name": "regressor"}).name == "toy regressor"


@pytest.mark.parametrize("key", ["_target_", "class_path"])
def test_yaml_with_a_target_is_found(project, key):
    arguments = "name: vae" if key == "_target_" else "init_args: {name: vae}"
    (project / "run.yaml").write_text(f"{key}: my_project.build\n{arguments}\n")
    assert locate("run.yaml", {}).name == "toy variational autoencoder"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no_such_module:build", "no module 'no_such_module'"),
        ("no_such.py:build", "there is no file no_such.py"),
        ("my_projct.py:build", "Did you mean 'my_project.py'"),
        ("my_project:biuld", "Did you mean 'build'"),
        ("no-such-recipe", "SUBJECT is package.module:attribute"),
        ("none.yaml", "there is no file none.yaml"),
    ],
)
def test_what_is_not_there_is_said_with_the_nearest_name(project, text, words):
    with pytest.raises(SubjectError, match=words):
        locate(text, {})


def test_an_unknown_override_names_what_there_is(project):
    with pytest.raises(SubjectError, match=r"It takes: name\. Did you mean 'name'"):
        locate("my_project:build", {"nmae": 1})


def test_overrides_of_an_object_are_refused(project):
    with pytest.raises(SubjectError, match="is a Subject, not a function"):
        locate("my_project:subject", {"name": 1})


def test_an_error_at_import_names_the_line(project):
    (project / "bad.py").write_text("x = 1\nraise RuntimeError('boom')\n")
    with pytest.raises(SubjectError, match=r"RuntimeError: boom \(bad.py:2"):
        locate("bad.py:subject", {})


def test_a_file_of_a_package_may_use_relative_imports(project):
    package = project / "app" / "runs"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "parts.py").write_text(SOURCE)
    (package / "run.py").write_text("from .parts import build\nfrom ..runs import parts\n")
    assert locate("app/runs/run.py:build", {}).name == "toy classifier"
