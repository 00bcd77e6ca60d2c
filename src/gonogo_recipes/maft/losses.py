"""The loss of MAFT: four terms, each of which asks only what is there."""

from itertools import combinations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from gonogo_recipes.maft.batch import LABEL, SCORE, STREAMS, Batch
from gonogo_recipes.maft.settings_fields import Settings

Outputs = dict[str, Tensor]


def loss(model: nn.Module, batch: Batch, settings: Settings | None = None) -> Float[Tensor, ""]:
    """The loss of one batch; without settings, with the default weights."""
    return compute_loss(settings or Settings(), model(batch), batch)[0]


def compute_loss(settings: Settings, outputs: Outputs, batch: Batch) -> tuple[Float[Tensor, ""], Outputs]:
    """The weighted sum, and its terms as they are before they are weighted."""
    terms = {
        "classification": functional.cross_entropy(outputs["logits"], batch[LABEL]),
        "regression": functional.l1_loss(outputs["regression"].squeeze(-1), batch[SCORE].to(outputs["logits"].dtype)),
        "consistency": consistency([outputs[f"logits_{stream}"] for stream in STREAMS], outputs["present"]),
        "reconstruction": reconstruction(outputs["reconstruction"], outputs["target"], outputs["dropped"]),
    }
    weights = {name: getattr(settings.training, f"{name}_weight") for name in terms}
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum(), terms


def consistency(logits: list[Float[Tensor, "b c"]], present: Bool[Tensor, "b m"]) -> Float[Tensor, ""]:
    """Mean symmetric KL divergence, nats, over all pairs of modalities that a sample has; 0 if there is no pair.

    (KL(p||q) + KL(q||p)) / 2 is half the sum of (p - q) * (log p - log q): from log_softmax, that stays finite where
    probabilities underflow.
    """
    # An absent modality has no opinion: taken out before the softmax, so that nothing flows back to it.
    logs = [torch.where(has.unsqueeze(-1), x, 0).log_softmax(-1) for x, has in zip(logits, present.T, strict=True)]
    pairs = list(combinations(range(len(logs)), 2))
    distances = torch.stack([_symmetric_kl(logs[i], logs[j]) for i, j in pairs], -1)
    both = torch.stack([present[:, i] & present[:, j] for i, j in pairs], -1)
    return torch.where(both, distances, 0).sum() / both.sum().clamp(min=1)


def _symmetric_kl(log_p: Float[Tensor, "b c"], log_q: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    return 0.5 * ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(-1)


def reconstruction(
    guess: Float[Tensor, "b m d"], target: Float[Tensor, "b m d"], dropped: Bool[Tensor, "b m"]
) -> Float[Tensor, ""]:
    """Mean absolute error over the modalities that were dropped; 0 if none was."""
    errors = (guess - target.detach()).abs().mean(-1)
    return torch.where(dropped, errors, 0).sum() / dropped.sum().clamp(min=1)
