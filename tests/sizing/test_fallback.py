import subprocess
import sys

import pytest

PROGRAM = """
import torch
from torch import nn
from gonogo.sizing.card import fake_card
fake_card.works = lambda: False
from gonogo.sizing.answer import size
from gonogo.sizing.costs.devices import device
from gonogo.sizing.programs.program import Program
def model():
    with torch.device(fake_card.DEVICE):
        return nn.Linear(256, 256)
batch = lambda: torch.empty(8, 256, device=fake_card.DEVICE)
loss = lambda model, x: model(x.to("cuda")).square().mean()
program = Program("x", model, batch, loss, lambda m: [torch.optim.AdamW(m.parameters())])
found = size(program, device("T4"), 1)
print(found.answer, found.margin, found.peak.kinds["weights"], found.assumed)
"""


@pytest.mark.slow
def test_a_torch_that_refuses_the_card_is_traced_on_a_fake_cpu_and_the_report_says_so():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("fits 0.05 263168 "), done.stderr
    assert "this build of torch refuses the simulated card" in done.stdout
