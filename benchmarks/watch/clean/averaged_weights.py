"""An exponential average of the weights that evaluation borrows, written by hand, and SWA statistics at the end."""

import copy

import torch
from sklearn.datasets import load_iris
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.data import DataLoader, TensorDataset


class EMA:
    def __init__(self, model, decay=0.95):
        self.decay = decay
        self.shadow = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model):
        for k, v in model.state_dict().items():
            if v.dtype.is_floating_point:
                self.shadow[k].mul_(self.decay).add_(v, alpha=1 - self.decay)

    def apply(self, model):
        self.backup = copy.deepcopy(model.state_dict())
        model.load_state_dict(self.shadow)

    def restore(self, model):
        model.load_state_dict(self.backup)


torch.manual_seed(0)
X, y = load_iris(return_X_y=True)
X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
order = torch.randperm(150)
train = DataLoader(TensorDataset(X[order[:110]], y[order[:110]]), 10, shuffle=True)
test = DataLoader(TensorDataset(X[order[110:]], y[order[110:]]), 40)
model = nn.Sequential(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 3))
ema, averaged = EMA(model), AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
opt = torch.optim.RMSprop(model.parameters(), lr=1e-3)
best_acc, best_weights = 0.0, None
for epoch in range(10):
    model.train()
    for xb, yb in train:
        loss = nn.functional.cross_entropy(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        ema.update(model)
        averaged.update_parameters(model)
    ema.apply(model)
    model.eval()
    with torch.no_grad():
        acc = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in test) / 40
    if acc >= best_acc:
        best_acc, best_weights = acc, {k: v.clone() for k, v in model.state_dict().items()}
    ema.restore(model)
    print(epoch, acc)
update_bn(train, averaged)
