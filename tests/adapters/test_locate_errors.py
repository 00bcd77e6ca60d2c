"""What is said where SUBJECT is close to something usable."""

import pytest

from gonogo.adapters.locate import locate
from gonogo.errors import SubjectError

CODE = """
from torch import nn
net = nn.Linear(3, 2)
class Net(nn.Module):
    def __init__(self, backbone, classes, lr=1e-3):
        super().__init__()
def main():
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", required=True, type=int)
    parser.parse_args(["--lr", "much"])
"""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("net", "is a live model, Linear; expected a Subject, or a function that returns one or a dict with model"),
        ("Net", r"needs 'backbone', 'classes': add backbone=\.\.\. classes=\.\.\. to the command"),
        (
            "main",
            r"sys.exit\(2\).*: argument --lr: invalid int value: 'much'. If it reads arguments.* it has none here",
        ),
    ],
)
def test_mistakes_are_said_in_words(tmp_path, name, words):
    (tmp_path / "live_net.py").write_text(CODE)
    with pytest.raises(SubjectError, match=words):
        locate(f"{tmp_path}/live_net.py:{name}", {})


def test_a_function_that_hydra_starts_is_to_be_watched(tmp_path):
    start = "@hydra.main(config_name='c', version_base=None)"
    (tmp_path / "hydra_main.py").write_text(f"import hydra\n\n{start}\ndef main(cfg):\n    pass\n")
    with pytest.raises(SubjectError, match=r"started by Hydra: `gonogo watch -- python .*hydra_main.py` watches it"):
        locate(f"{tmp_path}/hydra_main.py:main", {})


def test_a_script_that_knows_nothing_of_gonogo_is_to_be_named_or_watched(tmp_path):
    (tmp_path / "plain_script.py").write_text(CODE)
    words = r"Name what builds the run: .*:NAME \(Net, main\); `gonogo watch -- python .*plain_script.py` watches the"
    with pytest.raises(SubjectError, match=words):
        locate(f"{tmp_path}/plain_script.py", {})


@pytest.mark.parametrize("steps", [10, 1000])
def test_a_script_that_trains_when_it_is_imported_is_stopped_one_that_prepares_a_part_is_not(tmp_path, steps):
    path = tmp_path / f"trains_{steps}.py"
    step = f"for _ in range({steps}): optimizer.step()"
    path.write_text(f"{CODE}\nimport torch\noptimizer = torch.optim.SGD(net.parameters(), 0.1)\n{step}\n")
    words = "trains when it is imported" if steps > 100 else "is a live model"
    with pytest.raises(SubjectError, match=words):
        locate(f"{path}:net", {})
