"""A Trainer class that keeps its best weights itself, a OneCycle schedule per batch, and early stopping."""

import copy
from dataclasses import dataclass

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


@dataclass
class Config:
    lr: float = 5e-3
    epochs: int = 8
    batch_size: int = 32
    seed: int = 11
    patience: int = 4


class MLP(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.norm = nn.BatchNorm1d(features)
        self.hidden = nn.Linear(features, 24)
        self.drop = nn.Dropout(p=0.2)
        self.out = nn.Linear(24, 1)

    def forward(self, x):
        return self.out(self.drop(torch.relu(self.hidden(self.norm(x))))).squeeze(-1)


class Trainer:
    def __init__(self, cfg: Config):
        torch.manual_seed(cfg.seed)
        self.cfg = cfg
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        X, y = load_breast_cancer(return_X_y=True)
        data = TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32))
        self.train_set, self.val_set = random_split(data, [450, len(data) - 450])
        self.loader = DataLoader(self.train_set, cfg.batch_size, shuffle=True, drop_last=True)
        self.val_loader = DataLoader(self.val_set, 64)
        self.model = MLP(X.shape[1]).to(self.device)
        self.optim = torch.optim.Adam(self.model.parameters(), lr=cfg.lr)
        total = cfg.epochs * len(self.loader)
        self.sched = torch.optim.lr_scheduler.OneCycleLR(self.optim, max_lr=cfg.lr, total_steps=total)
        self.loss_fn = nn.BCEWithLogitsLoss()
        self.best_acc, self.best_state, self.bad = 0.0, None, 0

    def training_step(self, batch):
        x, y = (t.to(self.device) for t in batch)
        self.optim.zero_grad()
        loss = self.loss_fn(self.model(x), y)
        loss.backward()
        self.optim.step()
        self.sched.step()
        return loss.detach()

    @torch.no_grad()
    def evaluate(self):
        was_training = self.model.training
        self.model.eval()
        hits = [((self.model(x.to(self.device)) > 0).float().cpu() == y).float() for x, y in self.val_loader]
        self.model.train(was_training)
        return torch.cat(hits).mean().item()

    def fit(self):
        for epoch in range(self.cfg.epochs):
            losses = [self.training_step(batch) for batch in self.loader]
            acc = self.evaluate()
            print(epoch, torch.stack(losses).mean().item(), acc)
            if acc > self.best_acc:
                self.best_acc, self.best_state, self.bad = acc, copy.deepcopy(self.model.state_dict()), 0
            else:
                self.bad += 1
                if self.bad >= self.cfg.patience:
                    break
        self.model.load_state_dict(self.best_state)


Trainer(Config()).fit()
