"""Gradient accumulation with a remainder, a clip and a schedule per update; the running loss is a tensor, detached."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

ACCUMULATE = 4
torch.manual_seed(0)
X, y = load_digits(return_X_y=True)
images = torch.tensor(X, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
perm = torch.randperm(len(y))
train_ds = TensorDataset(images[perm[:1400]], torch.tensor(y)[perm[:1400]])
test_ds = TensorDataset(images[perm[1400:]], torch.tensor(y)[perm[1400:]])
train_dl, test_dl = DataLoader(train_ds, 16, shuffle=True), DataLoader(test_ds, 128)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(256, 10)
)
optimizer = torch.optim.Adam(model.parameters(), 2e-3)
updates = 4 * ((len(train_dl) + ACCUMULATE - 1) // ACCUMULATE)
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=updates)

for epoch in range(4):
    model.train()
    running = torch.zeros(())
    optimizer.zero_grad()
    for i, (xb, yb) in enumerate(train_dl):
        loss = cross_entropy(model(xb), yb) / ACCUMULATE
        loss.backward()
        running += loss.detach()
        if (i + 1) % ACCUMULATE == 0 or i + 1 == len(train_dl):
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    model.eval()
    with torch.no_grad():
        correct = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in test_dl)
    print(epoch, running.item(), correct / len(test_ds))
