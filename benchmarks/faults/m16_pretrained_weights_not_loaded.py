"""All names of the checkpoint carry a prefix, and strict=False keeps quiet about it."""

import torch
from _parts import Program, accuracy, blobs, cross_entropy, loaders, program
from torch import nn

ID = "M16"
TIER = "B"
CATEGORY = "model"
REFERENCE = "pytorch#141256; train-llm-from-scratch#37"
EXPECT = (
    "model.",
    "reproducibility.",
    "config.",
)


def body():
    return nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())


def checkpoint_of_a_compiled_model():
    with torch.random.fork_rng():
        torch.manual_seed(77)
        return {f"_orig_mod.{name}": 1.2 * value for name, value in body().state_dict().items()}


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = body(), nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.body(x))


def build(faulty: bool = False, seed: int = 0) -> Program:
    torch.manual_seed(seed)
    model = Classifier()
    state = checkpoint_of_a_compiled_model()
    if not faulty:
        state = {name.removeprefix("_orig_mod."): value for name, value in state.items()}
    model.body.load_state_dict(state, strict=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    data = loaders(*blobs(seed), seed=seed)
    config = {"pretrained": True, "lr": 1e-3}
    return program(model, optimizer, cross_entropy, data, evaluate=accuracy, config=config, claims={"classes": 4})
