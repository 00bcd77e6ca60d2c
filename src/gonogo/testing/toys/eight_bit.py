"""An optimizer whose states take eight bits: quantised by block with a dynamic code, in plain torch."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from gonogo.testing.toys import parts
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

BLOCK, FEATURES = 256, 6
CONFIG = {"lr": 5e-3, "batch_size": parts.BATCH_SIZE, "block": BLOCK}


def dynamic_code(bits: int) -> Tensor:
    """Numbers in (0, 1]: each leading zero divides by ten and leaves one bit less for the place within the decade."""
    decades = []
    for zeros in range(bits):
        places = 2 ** (bits - 1 - zeros)
        decades.append(10.0**-zeros * (0.1 + 0.9 * (torch.arange(places) + 0.5) / places))
    code = torch.cat(decades).sort().values
    code[-1] = 1.0
    return code


UNSIGNED = dynamic_code(8)  # 255 numbers; none is zero, as a mean divided by a square that was rounded off would leap
SIGNED = torch.cat([-dynamic_code(7).flip(0), torch.zeros(1), dynamic_code(7)])  # 255 numbers


def quantised(values: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
    """(eight bits per value, largest value per block)."""
    blocks = functional.pad(values.flatten(), (0, -values.numel() % BLOCK)).view(-1, BLOCK)
    scales = blocks.abs().amax(1, keepdim=True).clamp(min=1e-38)
    middles = ((code[1:] + code[:-1]) / 2).to(values.device)
    return torch.bucketize(blocks / scales, middles).to(torch.uint8), scales


def restored(bits: Tensor, scales: Tensor, code: Tensor, like: Tensor) -> Tensor:
    """The values again, as near as eight bits can say them."""
    return (code.to(bits.device)[bits.long()] * scales).flatten()[: like.numel()].view_as(like).to(like.dtype)


class AdamW8bit(Optimizer):
    """AdamW that keeps both moments in eight bits."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, betas: tuple[float, float] = (0.9, 0.99)) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": 1e-8, "weight_decay": 0.0})
        self.register_load_state_dict_post_hook(_as_bits)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update."""
        value = torch.enable_grad()(closure)() if closure else None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, self.state[parameter], group)
        return value

    def _update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["step"] = 0
            for name, code in (("mean", SIGNED), ("square", UNSIGNED)):
                state[name], state[name + "_scale"] = quantised(torch.zeros_like(parameter), code)
        state["step"] += 1
        first, second = group["betas"]
        mean = restored(state["mean"], state["mean_scale"], SIGNED, parameter).lerp(gradient, 1 - first)
        square = restored(state["square"], state["square_scale"], UNSIGNED, parameter).lerp(gradient**2, 1 - second)
        rate = group["lr"] / (1 - first ** state["step"])
        width = (square / (1 - second ** state["step"])).sqrt() + group["eps"]
        parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(rate * mean / width)
        state["mean"], state["mean_scale"] = quantised(mean, SIGNED)
        state["square"], state["square_scale"] = quantised(square, UNSIGNED)


def _as_bits(optimizer: Optimizer) -> None:
    for state in optimizer.state.values():  # torch gives loaded states the type of their parameter
        state |= {name: state[name].to(torch.uint8) for name in ("mean", "square")}


def eight_bit() -> Subject:
    """A synthetic smooth function of six features."""
    return Subject(
        name="toy with an 8-bit optimizer",
        model=_model,
        loss=_loss,
        optimizer=lambda model: AdamW8bit(model.parameters(), lr=float(CONFIG["lr"])),
        splits=parts.two_splits(_samples()),
        predict=_predict,
        step=parts.own_step(_loss),
        config=CONFIG,
        claims=Claims(parameters=769, target="target"),
    )


def _samples() -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(19)
    x = parts.normal(generator, parts.TRAIN + parts.VALID, FEATURES)
    weights = parts.normal(generator, FEATURES, 2)
    y = torch.tanh(0.5 * x @ weights[:, 0]) + 0.5 * x @ weights[:, 1]
    return [{"x": row, "target": number} for row, number in zip(x, y / y.std(), strict=True)]


def _model() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, 96), nn.Tanh(), nn.Linear(96, 1))


def _predict(model: nn.Module, batch: Any) -> Tensor:
    return model(batch["x"]).squeeze(-1)


def _loss(model: nn.Module, batch: Any) -> Tensor:
    return functional.mse_loss(_predict(model, batch), batch["target"])
