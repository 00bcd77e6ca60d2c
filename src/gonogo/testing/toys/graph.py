"""A message-passing network over graphs of different sizes, joined into one graph per batch."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

CLASSES, FEATURES, DIM = 3, 4, 24
CONFIG = {"lr": 1e-2, "batch_size": parts.BATCH_SIZE, "dim": DIM, "rounds": 2}


class MessagePassing(nn.Module):
    """Two rounds of summed messages, then the mean over the nodes of each graph."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(FEATURES, DIM)
        self.rounds = nn.ModuleList([nn.Linear(2 * DIM, DIM) for _ in range(2)])
        self.head = nn.Linear(DIM, CLASSES)

    def forward(
        self,
        nodes: Float[Tensor, "node feature"],
        edges: Int[Tensor, "2 edge"],
        graph_of: Int[Tensor, " node"],
        graphs: int,
    ) -> Float[Tensor, "graph class"]:
        """Logits of each graph."""
        x = self.embed(nodes)
        for layer in self.rounds:
            received = torch.zeros_like(x).index_add(0, edges[1], x[edges[0]])
            x = functional.gelu(layer(torch.cat([x, received], -1)))
        sums = x.new_zeros(graphs, DIM).index_add(0, graph_of, x)
        counts = torch.bincount(graph_of, minlength=graphs).clamp(min=1)
        return self.head(sums / counts[:, None])


def graph() -> Subject:
    """Synthetic graphs of 5 to 8 nodes with random features: ring, star or path?"""
    return Subject(
        name="toy graph classifier",
        model=MessagePassing,
        loss=_loss,
        optimizer=parts.adamw(float(CONFIG["lr"])),
        splits=parts.two_splits(_samples(), _joined),
        predict=_logits,
        evaluate=parts.accuracy(_logits, lambda batch: batch["label"]),
        config=CONFIG,
        claims=Claims(classes=CLASSES, parameters=2_547, target="label"),
    )


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(8)
    samples: list[dict[str, Tensor]] = []
    for _ in range(parts.TRAIN + parts.VALID):
        size = int(torch.randint(5, 9, (), generator=generator))
        label = torch.randint(CLASSES, (), generator=generator)
        nodes = 1 + 0.5 * parts.normal(generator, size, FEATURES)
        samples.append({"nodes": nodes, "edges": _edges(int(label), size), "label": label})
    return samples


def _edges(shape: int, size: int) -> Int[Tensor, "2 edge"]:
    here = torch.arange(size)
    one_way = [
        torch.stack([here, (here + 1) % size]),  # ring
        torch.stack([torch.zeros_like(here[1:]), here[1:]]),  # star
        torch.stack([here[:-1], here[1:]]),  # path
    ][shape]
    return torch.cat([one_way, one_way.flip(0)], 1)


def _joined(samples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    sizes = torch.tensor([len(sample["nodes"]) for sample in samples])
    starts = sizes.cumsum(0) - sizes
    return {
        "nodes": torch.cat([sample["nodes"] for sample in samples]),
        "edges": torch.cat([s["edges"] + start for s, start in zip(samples, starts, strict=True)], 1),
        "graph_of": torch.repeat_interleave(torch.arange(len(samples)), sizes),
        "label": torch.stack([sample["label"] for sample in samples]),
    }


def _logits(model: nn.Module, batch: Any) -> Tensor:
    return model(batch["nodes"], batch["edges"], batch["graph_of"], len(batch["label"]))


def _loss(model: nn.Module, batch: Any) -> Tensor:
    return functional.cross_entropy(_logits(model, batch), batch["label"])
