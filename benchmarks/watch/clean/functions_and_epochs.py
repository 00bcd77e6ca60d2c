"""Epochs in functions, argparse, a regression on real measurements of diabetes, early stopping by a plateau."""

import argparse

import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset


def get_loaders(batch_size):
    X, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    parts = train_test_split(X * 20, y, test_size=0.25, random_state=1)
    X_train, X_val, y_train, y_val = (torch.tensor(part, dtype=torch.float32) for part in parts)
    train = DataLoader(TensorDataset(X_train, y_train[:, None]), batch_size=batch_size, shuffle=True)
    val = DataLoader(TensorDataset(X_val, y_val[:, None]), batch_size=256)
    return train, val


def train_one_epoch(net, loader, criterion, opt):
    net.train()
    total_loss = 0.0
    for xb, yb in loader:
        pred = net(xb)
        loss = criterion(pred, yb)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        total_loss += loss.item() * xb.size(0)
    return total_loss / len(loader.dataset)


def validate(net, loader, criterion):
    net.eval()
    with torch.inference_mode():
        return sum(criterion(net(xb), yb).item() * len(xb) for xb, yb in loader) / len(loader.dataset)


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=15)
    ap.add_argument("--lr", type=float, default=1e-2)
    args = ap.parse_args()
    torch.manual_seed(3)
    train_loader, val_loader = get_loaders(32)
    net = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Dropout(0.1), nn.Linear(32, 1))
    opt = optim.SGD(net.parameters(), lr=args.lr, momentum=0.9)
    plateau = optim.lr_scheduler.ReduceLROnPlateau(opt, patience=3)
    criterion = nn.MSELoss()
    for epoch in range(args.epochs):
        tr = train_one_epoch(net, train_loader, criterion, opt)
        va = validate(net, val_loader, criterion)
        plateau.step(va)
        print(f"{epoch}: {tr:.3f} {va:.3f}")
    torch.save(net.state_dict(), "/dev/null")
