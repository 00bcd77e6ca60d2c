"""The warm-up only shortens the cosine, whose rate then rises again before the end."""

import torch
from _training import cut, mlp, regress, slope
from torch.nn.functional import mse_loss
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

ID, TIER, CATEGORY = "E-7", "W", "origins"
REFERENCE = "MultiTrack: warmup_epochs shrinks T_max and warms nothing up"
EXPECT = ("optimizer.schedule",)
WARMUP, TOTAL, PEAK, LEAST = 20, 60, 1e-2, 1e-5


def schedule(optimizer, faulty):
    cosine = CosineAnnealingLR(optimizer, T_max=TOTAL - WARMUP, eta_min=LEAST)
    if faulty:
        return cosine
    return SequentialLR(optimizer, [LinearLR(optimizer, 0.05, 1.0, total_iters=WARMUP), cosine], milestones=[WARMUP])


def loss(model, batch):
    return mse_loss(model(batch[0]).squeeze(-1), batch[1])


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = mlp(6, 24, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=PEAK)
    scheduler = schedule(optimizer, faulty)

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        scheduler.step()
        return value.item()

    def save(path):
        torch.save([part.state_dict() for part in (model, optimizer, scheduler)], path)

    def load(path):
        for part, state in zip((model, optimizer, scheduler), torch.load(path), strict=True):
            part.load_state_dict(state)

    return {
        "model": model,
        "optimizer": optimizer,
        "scheduler": scheduler,
        "loss": loss,
        "step": step,
        "evaluate": regress,
        "save": save,
        "load": load,
        "train_loader": cut(20, *slope(seed)),
        "valid_loader": cut(20, *slope(seed + 50, n=70)),
        "claims": {"final_lr": LEAST, "total_steps": TOTAL},
    }
