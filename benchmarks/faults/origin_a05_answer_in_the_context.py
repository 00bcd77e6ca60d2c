"""The solved examples shown beside a question are drawn from all pairs, the question's own included."""

import torch
from _training import generator, plain_step
from torch import nn
from torch.utils.data import DataLoader, Dataset

ID, TIER, CATEGORY = "A-5", "B", "origins"
REFERENCE = "ARC ladder: context pairs include the query"
EXPECT = ("data",)


class Tasks(Dataset):
    """Each task adds its own vector to a grid: two solved pairs as context, one pair as the question."""

    def __init__(self, part, tasks, faulty):
        draw = generator(part)
        self.inputs = torch.randn(tasks, 3, 9, generator=draw)
        self.outputs = self.inputs + torch.randn(tasks, 1, 9, generator=draw)
        self.faulty = faulty

    def __len__(self):
        return 3 * len(self.inputs)

    def __getitem__(self, index):
        task, asked = divmod(index, 3)
        shown = [0, 1] if self.faulty else [other for other in range(3) if other != asked]
        context = {"inputs": self.inputs[task, shown], "outputs": self.outputs[task, shown]}
        return {"context": context, "query": self.inputs[task, asked], "answer": self.outputs[task, asked]}


class InContext(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair, self.mix = nn.Linear(18, 32), nn.Sequential(nn.Linear(41, 64), nn.ReLU(), nn.Linear(64, 9))

    def forward(self, context, query):
        pairs = torch.relu(self.pair(torch.cat([context["inputs"], context["outputs"]], dim=-1)))
        return query + self.mix(torch.cat([pairs.mean(1), query], dim=-1))


def predict(model, batch):
    return model(batch["context"], batch["query"])


def loss(model, batch):
    return nn.functional.mse_loss(predict(model, batch), batch["answer"])


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        errors = torch.cat([(predict(model, batch) - batch["answer"]).square() for batch in loader])
    model.train()
    return {"mse": errors.mean().item()}


def build(faulty: bool = False, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    model = InContext()
    return {
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
        "loss": loss,
        "step": plain_step(loss),
        "evaluate": evaluate,
        "predict": predict,
        "train_loader": DataLoader(Tasks(seed, 60, faulty), batch_size=20, shuffle=True),
        "valid_loader": DataLoader(Tasks(seed + 50, 20, faulty), batch_size=20),
        "claims": {"target": "answer"},
    }
