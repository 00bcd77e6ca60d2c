"""What healthy projects write, and what no check of the source may accuse; then the same with one fault each."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from gonogo.audit.source import define, sources
from gonogo.core.catalogue import discover
from gonogo.core.criterion import Status
from gonogo.errors import NotApplicable
from gonogo.testing.contract import answer
from gonogo.training.subject import Subject

CHECKS = [check for check in discover() if check.category == "code"]

HEALTHY = '''
"""A project with paths like HOME/data in its texts only."""
import abc, copy, json, os
from typing import Protocol, overload
import numpy as np
import torch
from torch import nn

try:
    from flash_attn import flash_attn_func
    HAS_FLASH = True
except ImportError:
    HAS_FLASH = False
try:
    from apex.normalization import FusedRMSNorm as RMSNorm
except Exception:
    class RMSNorm(nn.Module):
        def __init__(self, dim, eps=1e-6):
            super().__init__()
            self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps
        def forward(self, x):
            return self.weight * x * (x.square().mean(-1, keepdim=True) + self.eps).rsqrt()
try:
    import wandb
except ImportError:
    raise

class Scorer(Protocol):
    def score(self, x): ...

class BaseHead(nn.Module):
    def __init__(self, hidden, dropout=0.1):
        pass
    def score(self, x):
        raise NotImplementedError

class Abstract(abc.ABC):
    @abc.abstractmethod
    def score(self, x):
        raise NotImplementedError

class Head(BaseHead):
    def __init__(self, hidden, dropout=0.1, device=None, **kwargs):
        nn.Module.__init__(self)
        self.drop, self.out = nn.Dropout(dropout), nn.Linear(hidden, 4)
        self.scale = None
        self.reset(0.1)
    def reset(self, std):
        nn.init.normal_(self.out.weight, std=std)
    def score(self, x):
        if self.scale is None:
            self.scale = nn.Parameter(torch.ones(1))
        return self.out(self.drop(x)) * self.scale
    def forward(self, x):
        criterion = nn.CrossEntropyLoss()
        x = nn.Linear(4, 4)(x) if self.drop is None else x
        x = torch.nan_to_num(x)  # missing inputs are marked with NaN
        return self.score(x)
    def on_epoch_end(self):
        pass

@overload
def pick(x: int) -> int: ...
@overload
def pick(x: str) -> str: ...
def pick(x):
    return x

class Data(torch.utils.data.Dataset):
    def __init__(self, rows):
        self.rows = rows
    def __len__(self):
        return len(self.rows)
    def __getitem__(self, index):
        x = self.rows[index]
        shift = torch.randn(1)
        if torch.rand(()) < 0.5:
            x = x.flip(0)
        noise = torch.randn(4)
        scale = np.random.uniform(0.9, 1.1)
        return {"x": x * scale + 0.1 * shift + torch.randn(4) * 0.01, "noise": noise, "t": torch.rand(1), "y": index}

def numbers(lines):
    for line in lines:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        try:
            yield row["x"]
        except KeyError:
            continue

def is_number(text):
    try:
        float(text)
        return True
    except Exception:
        return False

def nothing():
    return
    yield

def loss(model, batch):
    pick(is_number("3"))
    return nn.functional.cross_entropy(model(batch["x"]), batch["y"])

def step(model, optimizer, batch):
    optimizer.zero_grad()
    value = loss(model, batch)
    value.backward()  # TODO: try a fused kernel
    optimizer.step()
    try:
        wandb.log({"loss": value})
    except Exception as error:
        raise RuntimeError("no log") from error
    return float(value.detach())

def save(path, model, optimizer):
    state = model.state_dict()
    torch.save({"model": model.state_dict(), "best": state}, path)

def evaluate(model, loader):
    best_state = copy.deepcopy(model.state_dict())
    initial = {k: v.detach().clone() for k, v in model.state_dict().items()}
    limit = 0.5
    token = os.environ.get("HF_TOKEN", "")
    eos_token, password = "<|endoftext|>", None
    return {"limit": limit}

def load(path, model, optimizer):
    model.load_state_dict(torch.load(path)["model"])

def build():
    list(numbers([])), nothing()
    return Head(4)

def loader():
    return torch.utils.data.DataLoader(Data(torch.zeros(8, 4)), 4)
'''
NAMES = ("loss", "step", "save", "load", "evaluate")


def subject(text: str) -> Subject:
    text = text.replace(
        "import wandb\nexcept ImportError:\n    raise", "import json as wandb\nexcept ImportError:\n    raise"
    )
    # This file must name no home itself.
    names = define("project", text.replace("HOME", "/".join(("", "home", "me"))))
    return Subject("s", model=names["build"], splits={"train": names["loader"]}, **{n: names[n] for n in NAMES})


@pytest.fixture(autouse=True)
def _no_cache() -> None:
    importlib.import_module("gonogo.audit.source")._parsed.cache_clear()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_healthy_code_is_not_accused(check: Any) -> None:
    result = answer(check, subject(HEALTHY))
    assert result.status is Status.PASS, result.observation


FAULTS = [
    ("code.stubs", "limit = 0.5", "limit = 0.5  # placeholder"),
    ("code.stubs", "def nothing():\n    return\n    yield", "def nothing():\n    raise NotImplementedError('later')"),
    ("code.swallowed-exceptions", 'raise RuntimeError("no log") from error', "print(error)"),
    ("code.swallowed-exceptions", "except KeyError:\n            continue", "except:\n            continue"),
    ("code.unreachable", "value.backward()", "return 0.0\n    value.backward()"),
    ("code.modules-in-forward", "criterion = nn.CrossEntropyLoss()", "x = nn.Linear(4, 4)(x)"),
    ("code.fabricated-data", '"y": index}', '"y": index, "mass": np.random.uniform(0, 1)}'),
    ("code.fabricated-data", "x = x.flip(0)", "x = torch.randn(4)\n            return x"),
    ("code.absolute-paths", "limit = 0.5", 'limit = len("HOME/data")'),
    ("code.fallback-model", "HAS_FLASH = False", "class SimpleModel(nn.Module): pass"),
    ("code.state-dict-alias", "copy.deepcopy(model.state_dict())", "model.state_dict()"),
    ("code.state-dict-alias", "v.detach().clone()", "v.detach()"),
    ("code.sanitisers", "optimizer.step()", "[p.grad.nan_to_num_() for p in model.parameters()]"),
    ("code.unread-arguments", "device=None", "device=None, freeze_encoder=True"),
    ("code.secrets", 'eos_token, password = "<|endoftext|>", None', "password = 'kite-Marble-47'"),
    ("code.secrets", 'os.environ.get("HF_TOKEN", "")', "'ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2'"),
]


@pytest.mark.parametrize(("check_id", "old", "new"), FAULTS, ids=lambda value: str(value)[:30])
def test_one_fault_is_found_by_its_check(check_id: str, old: str, new: str) -> None:
    assert old in HEALTHY
    [check] = [check for check in CHECKS if check.id == check_id]
    assert answer(check, subject(HEALTHY.replace(old, new))).status is Status.WARN


def test_libraries_and_other_folders_are_not_read(tmp_path: Path) -> None:
    package = tmp_path / "proj"
    package.mkdir()
    outside = tmp_path / "outside.py"
    outside.write_text("def far(): pass\n")
    (package / "linked.py").symlink_to(outside)
    (package / "near.py").write_text("def close_by(): pass\n")
    (package / "start.py").write_text(
        "import sys\nsys.path.insert(0, __file__.rsplit('/', 1)[0])\n"
        "import json, torch\nimport near\nfrom linked import far\ndef loss(model, batch): return near\n"
    )
    before = list(sys.path)
    try:
        names: dict[str, Any] = {"__file__": str(package / "start.py"), "__name__": "start"}
        exec(compile((package / "start.py").read_text(), str(package / "start.py"), "exec"), names)
        assert sorted(each.name for each in sources(Subject("s", loss=names["loss"]))) == ["near.py", "start.py"]
    finally:
        sys.path[:] = before
        for name in ("near", "linked"):
            sys.modules.pop(name, None)


def test_without_source_nothing_is_asked() -> None:
    with pytest.raises(NotApplicable):
        sources(Subject("s", loss=eval("lambda model, batch: 0")))
