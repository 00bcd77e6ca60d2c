"""Four batches make one update, but the schedule advances at every batch."""

import torch
from _training import cut, mlp, regress, slope
from torch.optim.lr_scheduler import LinearLR

ID, TIER, CATEGORY = "O8", "B", "optimizer"
REFERENCE = "huggingface/accelerate#963, #2926; huggingface/diffusers#4387"
EXPECT = ("optimizer.schedule",)
EVERY, UPDATES = 4, 40


def loss(model, batch):
    return torch.nn.functional.mse_loss(model(batch[0]).squeeze(-1), batch[1])


class Accumulating:
    def __init__(self, model, faulty):
        self.model, self.faulty, self.calls = model, faulty, 0
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        self.scheduler = LinearLR(self.optimizer, 1.0, 0.1, total_iters=UPDATES)

    def step(self, model, optimizer, batch):
        value = loss(model, batch)
        (value / EVERY).backward()
        self.calls += 1
        due = self.calls % EVERY == 0
        if due:
            optimizer.step()
            optimizer.zero_grad()
        if due or self.faulty:
            self.scheduler.step()
        return value.item()

    def save(self, path):
        kept = {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler}
        torch.save({"calls": self.calls} | {name: part.state_dict() for name, part in kept.items()}, path)

    def load(self, path):
        state = torch.load(path)
        self.calls = state["calls"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(6, 24, 1)
    run = Accumulating(model, faulty)
    return {
        "model": model,
        "optimizer": run.optimizer,
        "scheduler": run.scheduler,
        "loss": loss,
        "step": run.step,
        "evaluate": regress,
        "save": run.save,
        "load": run.load,
        "train_loader": cut(12, *slope(seed)),
        "valid_loader": cut(40, *slope(seed + 50, n=100)),
        "claims": {"accumulation": EVERY, "final_lr": 1e-3, "total_steps": UPDATES},
    }
