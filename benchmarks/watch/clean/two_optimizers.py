"""A GAN: two models, two optimizers, labels by hand, fake samples without gradient, several critic steps."""

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
X = torch.tensor(load_digits().data, dtype=torch.float32) / 8 - 1
loader = DataLoader(TensorDataset(X), batch_size=64, shuffle=True, drop_last=True)
generator = nn.Sequential(nn.Linear(16, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64), nn.Tanh())
critic = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Linear(64, 1))
generator_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
critic_optimizer = torch.optim.Adam(critic.parameters(), lr=2e-4, betas=(0.5, 0.999))
criterion = nn.BCEWithLogitsLoss()
fixed_noise = torch.randn(8, 16)

for epoch in range(5):
    for i, (real,) in enumerate(loader):
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        critic.zero_grad()
        real_loss = criterion(critic(real), ones)
        real_loss.backward()
        fake = generator(torch.randn(len(real), 16))
        fake_loss = criterion(critic(fake.detach()), zeros)
        fake_loss.backward()
        critic_optimizer.step()
        if i % 2 == 0:
            generator.zero_grad()
            generator_loss = criterion(critic(fake), ones)
            generator_loss.backward()
            generator_optimizer.step()
    with torch.no_grad():
        sample = generator(fixed_noise)
    print(epoch, real_loss.item() + fake_loss.item(), generator_loss.item(), sample.std().item())
