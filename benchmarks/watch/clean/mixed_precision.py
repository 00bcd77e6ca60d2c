"""Autocast in bfloat16 on the CPU with a GradScaler, unscale before clipping, a sequence classifier with an LSTM."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(2)
g = torch.Generator().manual_seed(0)
tokens = torch.randint(1, 20, (600, 12), generator=g)
labels = (tokens[:, :6].sum(1) > tokens[:, 6:].sum(1)).long()
train_loader = DataLoader(TensorDataset(tokens[:500], labels[:500]), batch_size=25, shuffle=True)
val_loader = DataLoader(TensorDataset(tokens[500:], labels[500:]), batch_size=50)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(20, 16)
        self.rnn = nn.LSTM(16, 16, num_layers=2, dropout=0.1, batch_first=True)
        self.fc = nn.Linear(16, 2)

    def forward(self, ids):
        _, (h, _) = self.rnn(self.emb(ids))
        return self.fc(h[-1])


def main():
    model = Tagger()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(4):
        model.train()
        for ids, target in train_loader:
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = criterion(model(ids), target)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
        model.eval()
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            hits = torch.cat([model(ids).argmax(1) == target for ids, target in val_loader])
        print(epoch, loss.item(), hits.float().mean().item())


main()
