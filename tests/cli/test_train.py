import subprocess
import sys

import pytest

from gonogo.cli.main import guarded
from gonogo.cli.train import train

PROGRAM = '''
"""A training that only says what it was asked for."""
import json

def train(rate=0.1):
    def start(folder, *, resume, max_steps, device, listen):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "asked.json").write_text(json.dumps([rate, resume, max_steps, device]))
        listen({"step": 0}, 4)
        for step in range(1, 5):
            listen({"step": step, "epoch": 1, "loss": 1 / step, "lr": rate}, 4)
        listen({"step": 4, "epoch": 1, "valid": {"accuracy": 0.75}}, 4)
        return {"accuracy": 0.75, "steps": 4}
    return start
'''


@pytest.fixture
def gonogo(tmp_path, monkeypatch, capsys):
    """Call the verb in a folder with a program of its own: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "true")
    (tmp_path / "program.py").write_text(PROGRAM)

    def call(recipe, *words, **options):
        code = guarded(lambda: train(recipe, list(words), **{"device": "cpu", **options}))
        return code, *capsys.readouterr()

    return call


def test_the_verb_hands_on_what_it_was_asked(gonogo, tmp_path):
    code, _, said = gonogo("program.py", "rate=1e-3", out=tmp_path / "here", resume=True, steps=3)
    assert code == 0, said
    assert (tmp_path / "here" / "asked.json").read_text() == '[0.001, true, 3, "cpu"]'


@pytest.mark.requirement("MAFT-10.6")
def test_a_log_gets_plain_lines_and_the_summary(gonogo):
    _, text, _ = gonogo("program.py")
    assert "4/4  epoch 1  loss 0.2500  lr 0.1\n" in text
    assert "4/4  epoch 1  valid  accuracy 0.75\n" in text
    assert "accuracy                 0.75\n" in text
    assert "\x1b" not in text


def test_the_default_folder_is_named_after_the_recipe_and_ignores_itself(gonogo, tmp_path):
    assert gonogo("program.py")[0] == 0
    assert (tmp_path / ".gonogo" / "train" / "program-py" / "asked.json").is_file()
    assert (tmp_path / ".gonogo" / ".gitignore").read_text() == "*\n"


@pytest.mark.requirement("MAFT-10.6")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("matf",), "there is no recipe 'matf' that can be trained. There are: "),
        (("matf",), "Did you mean 'maft'"),
        (("program.py", "rat=1"), "Did you mean 'rate'"),
        (("program.py", "rate"), "key=value was expected"),
        (("nothing.py",), "there is no file nothing.py"),
    ],
)
def test_errors_are_sentences_with_exit_code_2(gonogo, words, expected):
    code, _, said = gonogo(*words)
    assert code == 2
    assert expected in said
    assert "Traceback" not in said


def test_a_folder_that_cannot_be_written_is_named(gonogo, tmp_path):
    code, _, said = gonogo("program.py", out=tmp_path / "program.py" / "below")
    assert code == 2
    assert "program.py" in said


def test_help_does_not_import_torch():
    program = "import sys; from gonogo.cli.main import main; sys.argv[1:] = ['train', '--help']"
    check = f"{program}\ntry: main()\nexcept SystemExit as end: assert not end.code\nassert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--resume" in done.stdout
